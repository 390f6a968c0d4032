using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>The event log of Windows, source KvmSwitch (learn.microsoft.com/windows/win32/eventlog).</summary>
[SupportedOSPlatform("windows")]
internal sealed partial class EventJournal : IJournal, IDisposable
{
    public const string Source = "KvmSwitch";

    private const string SourceKey = @"SYSTEM\CurrentControlSet\Services\EventLog\Application\" + Source;

    // A file of Windows whose messages 1 to 1000 are nothing but the text that they are given.
    private const string Messages = @"%SystemRoot%\System32\EventCreate.exe";
    private const ushort Information = 4;
    private const uint Event = 1;
    private const int AllKinds = 7;

    // What one entry takes at most (31,839 characters), with room to spare.
    private const int LongestLine = 8000;

    private readonly nint source;

    public EventJournal()
    {
        RegisterSource();
        source = RegisterEventSource(null, Source);
    }

    public unsafe void Write(string line)
    {
        var text = line.Length > LongestLine ? line[..LongestLine] : line;
        fixed (char* characters = text)
        {
            var strings = (nint)characters;
            // Where the log is full or its service is down there is nobody left to tell.
            _ = ReportEvent(source, Information, 0, Event, 0, 1, 0, &strings, null);
        }
    }

    public void Dispose() => DeregisterEventSource(source);

    /// <summary>The installer does it too; a service that was set up by hand tells its events all the same.</summary>
    private static void RegisterSource()
    {
        try
        {
            using var key = Registry.LocalMachine.CreateSubKey(SourceKey);
            if (key.GetValue("EventMessageFile") is not null)
                return;
            key.SetValue("EventMessageFile", Messages, RegistryValueKind.ExpandString);
            key.SetValue("TypesSupported", AllKinds, RegistryValueKind.DWord);
        }
        catch (UnauthorizedAccessException)
        {
            // Without it Windows shows the same text with a remark that it knows no source of this name.
        }
    }

    [LibraryImport("advapi32", EntryPoint = "RegisterEventSourceW", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial nint RegisterEventSource(string? server, string source);

    [LibraryImport("advapi32")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DeregisterEventSource(nint source);

    [LibraryImport("advapi32", EntryPoint = "ReportEventW", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static unsafe partial bool ReportEvent(
        nint source, ushort kind, ushort category, uint id, nint user, ushort strings, uint bytes, nint* texts, void* data);
}
