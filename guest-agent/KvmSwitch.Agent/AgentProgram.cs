namespace KvmSwitch.Agent;

/// <summary>This program, as a person calls it.</summary>
internal static class AgentProgram
{
    public static string Name => OperatingSystem.IsWindows() ? "KvmSwitch.Agent.exe" : "kvmswitch-agent";
}
