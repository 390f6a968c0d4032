using System.Globalization;
using Spectre.Console;

namespace KvmSwitch.Benchmarks.Lab;

/// <param name="Rounds">How often each handoff is made, each way.</param>
/// <param name="Json">A file for the figures; null for none.</param>
/// <param name="Parts">What of it is run.</param>
internal sealed record LabOptions(int Rounds, string? Json, IReadOnlySet<string> Parts)
{
    public static readonly string[] AllParts = ["usb", "controller", "optical", "input", "relay", "virsh"];

    /// <returns>Null when the arguments make no sense.</returns>
    public static LabOptions? Parse(string[] arguments)
    {
        var options = new LabOptions(Rounds: 12, Json: null, AllParts.ToHashSet(StringComparer.Ordinal));
        for (; arguments.Length > 0; arguments = arguments[2..])
        {
            switch (arguments)
            {
                case ["--rounds", var text, ..] when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var rounds) && rounds > 0:
                    options = options with { Rounds = rounds };
                    break;
                case ["--json", { Length: > 0 } file, ..]:
                    options = options with { Json = file };
                    break;
                case ["--only", { Length: > 0 } list, ..] when list.Split(',').All(AllParts.Contains):
                    options = options with { Parts = list.Split(',').ToHashSet(StringComparer.Ordinal) };
                    break;
                default:
                    return null;
            }
        }

        return options;
    }
}

/// <summary>The routes between real kernels, in the lab that runs: ours, by hand, by libvirt, all in one run.</summary>
internal sealed class LabBenchmark(LabOptions options)
{
    private const double Busy = 2;
    private readonly List<Leg> _legs = [];
    private readonly List<Section> _more = [];
    private readonly List<double> _load = [];

    public async Task RunAsync(CancellationToken cancellation)
    {
        Say("the lab's guest");
        await using var host = await BenchHost.ConnectAsync(Checkout(), cancellation);
        var left = await host.PortAsync("desk:1", cancellation);
        var usb = new UsbRoute(host, "left", left);
        var controller = new ControllerRoute(host, "card", "0000:03:00.0");
        await RouteAsync(host, usb, cancellation);
        await RouteAsync(host, controller, cancellation);
        await RouteAsync(host, new OpticalRoute(host, "disc", "/dev/sr0"), cancellation);
        await InputAsync(host, cancellation);
        if (Wants("virsh")) await VirshAsync(host, usb, controller, left, cancellation);
    }

    public void Print()
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 180;
        if (_legs.Count > 0) LegTable.Print(_legs);
        Report.Print(Sections());
        var busy = _load.Count(load => load > Busy);
        var about = busy == 0 ? "" : $"; above {Busy:0} at {busy} of {_load.Count} looks: others used the computer, and the figures are larger for it";
        AnsiConsole.WriteLine($"Load of the computer during the run: {_load.Min():0.0} to {_load.Max():0.0}{about}.");
    }

    public IReadOnlyList<Section> Sections() =>
        [.. _legs.Select(leg => leg.Details()), .. _more, new("Surroundings", [new("load average of the last minute", "", new(_load))])];

    private bool Wants(string part) => options.Parts.Contains(part);

    private async Task RouteAsync(BenchHost host, Route route, CancellationToken cancellation)
    {
        if (!Wants(route.Name)) return;
        Say($"route {route.Name}, {options.Rounds} rounds");
        var benchmark = new RouteBenchmark(host, route);
        await benchmark.RunAsync(options.Rounds, cancellation);
        _legs.AddRange(benchmark.Legs);
    }

    private async Task InputAsync(BenchHost host, CancellationToken cancellation)
    {
        if (!Wants("input") && !Wants("relay")) return;
        await using var typist = await LabTypist.StartAsync(host.Shell, cancellation);
        await RouteAsync(host, new InputRoute(host, "typing", typist.Node), cancellation);
        if (!Wants("relay")) return;
        Say("the relay");
        var relay = new RelayBenchmark(host, typist);
        await relay.RunAsync(options.Rounds, cancellation);
        _more.Add(relay.Section());
    }

    private async Task VirshAsync(BenchHost host, UsbRoute usb, ControllerRoute controller, string port, CancellationToken cancellation)
    {
        Say("libvirt's guest");
        var virsh = new VirshBenchmark(host);
        await virsh.StartAsync(cancellation);
        Say($"libvirt, {options.Rounds} rounds");
        if (Wants(usb.Name))
        {
            await virsh.RunAsync(
                usb, LegsOf(usb), "usb",
                () => host.Shell.RunAsync($"cd /sys/bus/usb/devices/{port} && printf '<address bus=\"%d\" device=\"%d\"/>' $(cat busnum devnum)", cancellation),
                options.Rounds, cancellation);
        }

        if (!Wants(controller.Name)) return;
        await virsh.RunAsync(
            controller, LegsOf(controller), "pci",
            () => Task.FromResult("<address domain='0x0000' bus='0x03' slot='0x00' function='0x0'/>"), options.Rounds, cancellation);
    }

    private Leg[] LegsOf(Route route) => [.. _legs.Where(leg => leg.Route == route.Name)];

    private void Say(string what)
    {
        var load = double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
        _load.Add(load);
        Console.Error.WriteLine($"measuring: {what} (load {load:0.0})");
    }

    private static string Checkout()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "KvmSwitch.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new DirectoryNotFoundException("not in a checkout of the project");
    }
}
