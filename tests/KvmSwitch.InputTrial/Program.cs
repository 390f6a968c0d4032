using System.Diagnostics;
using KvmSwitch.Core;
using KvmSwitch.InputTrial;
using KvmSwitch.Linux.Input;

// Tries the input relay on the real kernel: run as root where /dev/uinput is. One line for each claim; ends with 1 if any is wrong.
const int a = 30, b = 48, leftCtrl = 29, leftAlt = 56, h = 35;
var wrong = 0;
await using var desk = await TrialDesk.StartAsync();

desk.Press(a);
desk.Release(a);
Claim("at home the host hears", desk.Host.Hear(2), "+30 -30");
Claim("at home the guest hears nothing", desk.Guest.Hear(0), "");

var lending = Stopwatch.GetTimestamp();
await desk.LendAsync();
Console.WriteLine($"   lending took {Stopwatch.GetElapsedTime(lending).TotalMilliseconds:0.00} ms");
desk.Press(a);
desk.Release(a);
Claim("lent, the guest hears", desk.Guest.Hear(2), "+30 -30");
Claim("lent, the host hears nothing", desk.Host.Hear(0), "");
Claim("the relay says so", await desk.SeesAsync(new(HostSight.Served, TrialDesk.Machine)), true);

desk.Input.Hotkeys.Watch([Chord.Parse("ctrl+alt+h")]);
foreach (var key in new[] { leftCtrl, leftAlt, h }) desk.Press(key);
foreach (var key in new[] { h, leftAlt, leftCtrl }) desk.Release(key);
Claim("a chord's keys are taken back", desk.Guest.Hear(4), "+29 +56 -56 -29");
Claim("a chord is recognized", desk.Input.Hotkeys.Presses.TryRead(out var press) ? press.Chord.ToString() : "", "ctrl+alt+h");

_ = desk.Guest.Node.Inject([new(EventType.Led, 1, 1), InputEvent.Report]);
var told = new InputEvent[8];
Claim("a led of the clone is lit on the device", SpinWait.SpinUntil(() => desk.Host.Node.ReadLeds() == 2, TimeSpan.FromSeconds(5)), true);
_ = desk.Keyboard.Read(told);

desk.Press(b);
Claim("a key is held in the guest", desk.Guest.Hear(1)[..3], "+48");
await desk.RecallAsync();
Claim("recalled, the guest's key goes up", desk.Guest.Hear(1)[^3..], "-48");
Claim("the led is as before", desk.Host.Node.ReadLeds(), 0u);
desk.Release(b);
desk.Press(a);
Claim("the host hears the next key and nothing of the held one", desk.Host.Hear(1)[..3], "+30");

var held = desk.LendAsync();
Claim("lending waits while a key is held", held.IsCompleted, false);
await held;
Claim("the held key is released on the host", desk.Host.Hear(1)[^3..], "-30");
desk.Release(a);
Claim("and never reaches the guest", desk.Guest.Hear(0), "");

desk.Press(a);
Claim("a key is down when the plug is pulled", desk.Guest.Hear(1)[..3], "+30");
desk.Unplug();
Claim("it goes up in the guest", desk.Guest.Hear(1)[^3..], "-30");
Claim("unplugged, it is absent and still lent", await desk.SeesAsync(new(HostSight.Absent, TrialDesk.Machine)), true);
desk.Plug();
Claim("plugged in again it is lent", await desk.SeesAsync(new(HostSight.Served, TrialDesk.Machine)), true);
desk.Press(b);
desk.Release(b);
Claim("and goes into the same clone", desk.Guest.Hear(2), "+48 -48");
Claim("the host hears nothing of it", desk.Host.Hear(0), "");

Figures("relayed, press to guest", Delays(desk.Guest));
await desk.RecallAsync();
Figures("direct, press to host", Delays(desk.Host));
var (lendings, first) = (new List<TimeSpan>(), new List<TimeSpan>());
for (var i = 0; i < 50; i++)
{
    var started = Stopwatch.GetTimestamp();
    await desk.LendAsync();
    lendings.Add(Stopwatch.GetElapsedTime(started));
    started = Stopwatch.GetTimestamp();
    var recalling = desk.RecallAsync();
    // A person that presses keys until the host hears one.
    do
    {
        desk.Press(a);
        desk.Release(a);
    }
    while (desk.Host.Node.Read(told) == 0 && Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
    first.Add(Stopwatch.GetElapsedTime(started));
    await recalling;
    _ = desk.Host.Hear(0);
    _ = desk.Guest.Hear(0);
}

Figures("lending", lendings);
Figures("recall to the first key on the host", first);
Console.WriteLine(wrong == 0 ? "TRIAL OK" : $"TRIAL FAILED: {wrong} wrong");
return wrong == 0 ? 0 : 1;

void Claim<T>(string what, T seen, T expected)
{
    var isTrue = EqualityComparer<T>.Default.Equals(seen, expected);
    if (!isTrue) wrong++;
    Console.WriteLine(isTrue ? $"ok {what}" : $"WRONG {what}: {seen}, not {expected}");
}

List<TimeSpan> Delays(NodeReader reader)
{
    var times = new List<TimeSpan>();
    for (var i = 0; i < 1000; i++)
    {
        var started = Stopwatch.GetTimestamp();
        if (i % 2 == 0) desk.Press(a);
        else desk.Release(a);
        times.Add(reader.TimeUntilKey(started));
    }

    return times;
}

static void Figures(string what, List<TimeSpan> times)
{
    times.Sort();
    Console.WriteLine($"   {what}: p50 {times[times.Count / 2].TotalMilliseconds:0.000} ms, p95 {times[times.Count * 95 / 100].TotalMilliseconds:0.000} ms (n={times.Count})");
}
