namespace KvmSwitch.Agent.Windows.Devices;

/// <summary>Why Windows lets nothing be ejected: PNP_VETO_TYPE (learn.microsoft.com/windows-hardware/drivers/ddi/cfg/ne-cfg-_pnp_veto_type) as a sentence.</summary>
internal static class Veto
{
    private const int AlreadyRemoved = 13;

    /// <param name="type">PNP_VETO_TYPE.</param>
    /// <param name="name">Who objects, as Windows names it; may be empty.</param>
    /// <returns>Null when nothing objects any longer: the device is gone already.</returns>
    public static string? Explain(int type, string name)
    {
        var who = name.Length > 0 ? $" ({name})" : "";
        return type switch
        {
            1 => $"A device below it can't be unplugged{who}.",
            2 => $"A program is still closing what it had open on it{who}: try again in a moment.",
            3 => $"A program uses it and objects{who}: close that program first.",
            4 => $"A service uses it and objects{who}: stop that service first.",
            5 => $"A program still has files open on it{who}: close them first.",
            6 => $"A device below it objects{who}.",
            7 => $"Its driver objects{who}.",
            8 => $"Windows says that it can't be ejected{who}.",
            9 => $"Windows has not enough power left to eject it{who}.",
            10 => $"Windows needs it to run{who}.",
            11 => $"Its driver is too old to let go of it{who}.",
            12 => "The agent may not eject it.",
            AlreadyRemoved => null,
            _ => $"Something in Windows still uses it{who}.",
        };
    }
}
