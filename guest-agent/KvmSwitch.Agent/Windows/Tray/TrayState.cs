using KvmSwitch.Agent.Windows.Pipe;

namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>How the service does, seen from a session.</summary>
internal enum ServiceHealth
{
    /// <summary>Not heard of yet, or lost a moment ago: it starts late after boot, and restarts by itself.</summary>
    Waiting,

    /// <summary>It has told its state.</summary>
    Answers,

    /// <summary>It is installed and doesn't run.</summary>
    Stopped,

    /// <summary>It isn't installed.</summary>
    Missing,
}

/// <summary>What the icon says at a glance.</summary>
internal enum Look
{
    KeyboardHere,
    KeyboardAtHost,

    /// <summary>Nothing can be switched: no service, no pairing, no host.</summary>
    CutOff,
}

/// <summary>All that the tray knows.</summary>
/// <param name="Service">The newest word of the service; null without one.</param>
/// <param name="WasThere">The service has answered since the tray began.</param>
internal sealed record TrayState(ServiceHealth Health, PipeState? Service, bool WasThere = false)
{
    public static readonly TrayState Starting = new(ServiceHealth.Waiting, null);

    /// <summary>The device that counts as the keyboard: the first one that is called so. Null when none is.</summary>
    public PipeDevice? Keyboard => Service?.Devices.FirstOrDefault(device => IsKeyboard(device.Name) || IsKeyboard(device.Label));

    public bool IsLinked => Service?.Link == PipeLink.Connected;

    public bool HasSomething => Service?.Devices.Any(device => device.Here) == true;

    /// <summary>Without a device that is called a keyboard, any device stands for it.</summary>
    public Look Look => this switch
    {
        { IsLinked: false } => Look.CutOff,
        { Keyboard: { } keyboard } => keyboard.Here ? Look.KeyboardHere : Look.KeyboardAtHost,
        { HasSomething: true } => Look.KeyboardHere,
        _ => Look.KeyboardAtHost,
    };

    /// <summary>One line that tells how things stand.</summary>
    public string Describe(Texts texts)
    {
        var machine = Service?.Machine ?? texts[TextKey.ThisMachine];
        return this switch
        {
            { Service: null, Health: ServiceHealth.Stopped } => texts[TextKey.StatusStopped],
            { Service: null, Health: ServiceHealth.Missing } => texts[TextKey.StatusMissing],
            { Service: null } => texts[TextKey.StatusStarting],
            { Service.Link: PipeLink.NotPaired } => texts[TextKey.StatusNotPaired],
            { Service.Link: PipeLink.Unreachable } => texts[TextKey.StatusUnreachable, machine],
            { Service.Link: PipeLink.Refused } => texts[TextKey.StatusRefused, machine],
            { Keyboard: { } keyboard } => texts[keyboard.Here ? TextKey.StatusKeyboardHere : TextKey.StatusKeyboardAtHost, machine],
            _ => texts[HasSomething ? TextKey.StatusSomethingHere : TextKey.StatusNothingHere, machine],
        };
    }

    private static bool IsKeyboard(string text) =>
        text.Contains("keyboard", StringComparison.OrdinalIgnoreCase) || text.Contains("kbd", StringComparison.OrdinalIgnoreCase) || text.Contains("キーボード", StringComparison.Ordinal);
}
