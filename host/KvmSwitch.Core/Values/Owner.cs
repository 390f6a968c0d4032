namespace KvmSwitch.Core;

/// <summary>Who has a device, or should: the host, or a machine. The default value is the host: host is home.</summary>
public readonly record struct Owner(MachineId? Machine)
{
    internal const string HostName = "host";

    public static Owner Host => default;

    public bool IsHost => Machine is null;

    /// <exception cref="FormatException">Neither <c>host</c> nor a machine's name.</exception>
    public static Owner Parse(string text) => text == HostName ? Host : new(MachineId.Parse(text));

    public static implicit operator Owner(MachineId machine) => new(machine);

    public static Owner FromMachineId(MachineId machine) => new(machine);

    public override string ToString() => Machine?.Value ?? HostName;
}
