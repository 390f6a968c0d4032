using System.Buffers;
using System.Text;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output;

/// <summary>A command line that can be pasted into a shell.</summary>
internal static class ShellText
{
    private static readonly SearchValues<char> Harmless =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=@%+");

    /// <summary>One option and its value per line.</summary>
    public static string Render(MachineArguments arguments)
    {
        var text = new StringBuilder(Quote(arguments.Program));
        foreach (var argument in arguments.Arguments)
        {
            text.Append(argument.StartsWith('-') ? " \\\n  " : " ").Append(Quote(argument));
        }

        return text.Append('\n').ToString();
    }

    internal static string Quote(string word) => word.Length > 0 && !word.AsSpan().ContainsAnyExcept(Harmless)
        ? word
        : $"'{word.Replace("'", @"'\''")}'";
}
