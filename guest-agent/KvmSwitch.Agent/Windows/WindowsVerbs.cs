using System.CommandLine;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Windows.Hotkeys;
using KvmSwitch.Agent.Windows.Service;

namespace KvmSwitch.Agent.Windows;

/// <summary>The verbs that exist on Windows alone: one file each.</summary>
[SupportedOSPlatform("windows")]
internal static class WindowsVerbs
{
    public static IEnumerable<Command> Create() =>
    [
        ServiceCommand.Create(),
        HotkeysCommand.Create(),
    ];
}
