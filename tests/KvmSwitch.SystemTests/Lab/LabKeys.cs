using System.Text.Json.Nodes;
using KvmSwitch.Demo.Harness;
using Xunit;

namespace KvmSwitch.SystemTests.Lab;

/// <summary>Keys that either side hears (linux/input-event-codes.h).</summary>
internal static class LabKeys
{
    public const int LeftCtrl = 29, A = 30, S = 31, D = 32, B = 48, C = 46, RightCtrl = 97;

    public static async Task<JsonObject> KeyAsync(this GuestWatch side, int code, int from) => (await side.WaitForAsync(
        entry => IsKey(entry, code, down: true), LabHost.Patience, TestContext.Current.CancellationToken, from)).Data;

    public static async Task ReleaseAsync(this GuestWatch side, int code, int from) => await side.WaitForAsync(
        entry => IsKey(entry, code, down: false), LabHost.Patience, TestContext.Current.CancellationToken, from);

    /// <summary>The keys that went down there since then.</summary>
    public static IEnumerable<int> KeysSince(this GuestWatch side, int from) => side.Sightings.Entries.Skip(from)
        .Where(entry => (string?)entry.Data["event"] == "key" && (bool?)entry.Data["down"] == true)
        .Select(entry => (int)entry.Data["code"]!);

    private static bool IsKey(JsonObject entry, int code, bool down) =>
        (string?)entry["event"] == "key" && (int?)entry["code"] == code && (bool?)entry["down"] == down;
}
