namespace KvmSwitch.Cli.Output;

/// <summary>Says on a terminal what takes so long, from the first second on; silent elsewhere.</summary>
internal sealed class WaitingLine : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    private readonly Lock gate = new();
    private readonly Surroundings around;
    private readonly long started;
    private readonly ITimer? timer;
    private string text;
    private bool shown;
    private bool ended;

    public WaitingLine(Surroundings around, string text)
    {
        this.around = around;
        this.text = text;
        started = around.Time.GetTimestamp();
        timer = around.ErrorIsTerminal ? around.Time.CreateTimer(_ => Show(), null, Tick, Tick) : null;
    }

    /// <summary>Takes the line away, lets something be written, and says <paramref name="next"/> from the next second on.</summary>
    public void Replace(string next, Action write)
    {
        lock (gate)
        {
            Erase();
            text = next;
            write();
        }
    }

    public void Dispose()
    {
        timer?.Dispose();
        lock (gate)
        {
            ended = true;
            Erase();
        }
    }

    private void Show()
    {
        lock (gate)
        {
            if (!ended)
            {
                var line = $"{Plain.Text(text)} … {around.Time.GetElapsedTime(started).TotalSeconds:0} s";
                around.Error.Write($"\r\e[K{(line.Length < around.Width ? line : line[..((around.Width ?? line.Length) - 1)])}");
                shown = true;
            }
        }
    }

    private void Erase()
    {
        if (shown)
        {
            around.Error.Write("\r\e[K");
            shown = false;
        }
    }
}
