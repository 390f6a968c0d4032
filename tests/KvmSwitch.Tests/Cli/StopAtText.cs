using System.Text;

namespace KvmSwitch.Tests.Cli;

/// <summary>A terminal at which somebody presses Ctrl-C as soon as a certain text is shown.</summary>
internal sealed class StopAtText(TextWriter inner, string text, CancellationTokenSource stop) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(value);

    public override void Write(string? value)
    {
        inner.Write(value);
        if (value?.Contains(text, StringComparison.Ordinal) == true)
        {
            stop.Cancel();
        }
    }
}
