using System.CommandLine;
using System.Text;

namespace KvmSwitch.Cli.Parsing;

/// <summary>What every verb understands.</summary>
internal sealed record GlobalOptions(string Socket, bool Json, bool Colour)
{
    public const string DefaultSocket = "/run/kvmswitch/control.sock";

    /// <summary>Longest path that fits into sun_path beside its terminating zero, in bytes (unix(7)).</summary>
    private const int LongestSocketPath = 107;

    public static readonly Option<bool> HelpOption = new("--help", "-h") { Description = "print this help", Recursive = true };

    public static readonly Option<bool> VersionOption = new("--version") { Description = "print the version", Recursive = true };

    public static readonly Option<bool> JsonOption = new("--json") { Description = "print JSON; progress and --watch print one document a line", Recursive = true };

    public static readonly Option<bool> NoColourOption = new("--no-color") { Description = "no colours (NO_COLOR does the same)", Recursive = true };

    public static readonly Option<string> SocketOption = new("--socket")
    {
        Description = $"instead of KVMSWITCH_SOCKET or {DefaultSocket}",
        HelpName = "PATH",
        Recursive = true,
        CustomParser = static result => Inputs.Name(result, "--socket"),
    };

    public static IEnumerable<Option> All => [JsonOption, SocketOption, NoColourOption, VersionOption, HelpOption];

    /// <exception cref="CliException">The socket's path can't be one.</exception>
    public static GlobalOptions From(ParseResult parsed, Surroundings around)
    {
        var socket = parsed.GetValue(SocketOption) ?? NonEmpty(around.Variable("KVMSWITCH_SOCKET")) ?? DefaultSocket;
        var bytes = Encoding.UTF8.GetByteCount(socket);
        if (bytes > LongestSocketPath)
        {
            throw new CliException(
                ExitCode.Usage,
                $"the socket's path is {bytes} bytes long, and Linux allows {LongestSocketPath}: choose a shorter one than {socket}");
        }

        var colour = around.OutIsTerminal && !parsed.GetValue(NoColourOption) && NonEmpty(around.Variable("NO_COLOR")) is null;
        return new GlobalOptions(socket, parsed.GetValue(JsonOption), colour);
    }

    private static string? NonEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}
