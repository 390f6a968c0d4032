using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using KvmSwitch.Daemon.Control;
using KvmSwitch.Daemon.Guests;
using KvmSwitch.Linux;
using Microsoft.Extensions.Hosting.Systemd;

namespace KvmSwitch.Daemon;

/// <summary>Runs the daemon from its configuration to its end.</summary>
internal static partial class DaemonHost
{
    private const int ExitOk = 0;
    private const int ExitFailed = 1;
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(5);

    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(DaemonPaths paths, bool verbose, CancellationToken cancellationToken)
    {
        try
        {
            return await ServeAsync(paths, verbose, cancellationToken);
        }
        catch (Exception failure) when (failure is ConfigurationException or SwitchException or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            await Console.Error.WriteLineAsync(failure is ConfigurationException ? failure.Message : $"kvmswitchd: {failure.Message}");
            return ExitFailed;
        }
    }

    private static async Task<int> ServeAsync(DaemonPaths paths, bool verbose, CancellationToken cancellationToken)
    {
        var configuration = ConfigurationFile.Load(paths.Configuration);
        ControlEndpoint.Claim(paths.Socket);

        // Before anything is looked at: a second daemon would set right what the first is moving.
        var builder = WebApplication.CreateEmptyBuilder(new() { ContentRootPath = "/", ApplicationName = "kvmswitchd" });
        AddLogging(builder.Logging, verbose);
        builder.Services.AddSystemd();
        using var logs = LoggerFactory.Create(logging => AddLogging(logging, verbose));
        await using var composition = await Composition.OpenAsync(configuration, paths, KernelPaths.Real, TimeProvider.System, logs, cancellationToken);
        await using var application = Build(builder, composition, paths, TimeProvider.System);
        return await RunAsync(application, composition, paths, cancellationToken);
    }

    /// <summary>The services of a composition, on its control socket and, where it listens for guests, on its addresses.</summary>
    internal static WebApplication Build(WebApplicationBuilder builder, Composition composition, DaemonPaths paths, TimeProvider clock)
    {
        composition.AddTo(builder.Services, clock);
        Listen(builder, composition, paths);
        var application = builder.Build();
        application.UseRouting();
        application.MapGrpcService<ControlService>().OnlyOverUnixSocket();
        if (composition.State.ListensForGuests) application.MapGuestService();
        return application;
    }

    private static void Listen(WebApplicationBuilder builder, Composition composition, DaemonPaths paths)
    {
        builder.Services.AddRouting();
        builder.Services.AddGrpc().AddServiceOptions<ControlService>(options => options.Interceptors.Add<Failures>());
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(options => options.ListenForControl(paths.Socket));
        if (!composition.State.ListensForGuests) return;
        builder.Services.AddGuestService();
        builder.WebHost.ListenForGuests(composition.Configuration.Daemon.Listen, composition.Authority);
    }

    /// <summary>Serves until cancelled, or until a part of the daemon ends.</summary>
    internal static async Task<int> RunAsync(
        WebApplication application, Composition composition, DaemonPaths paths, CancellationToken cancellationToken)
    {
        var log = application.Services.GetRequiredService<ILoggerFactory>().CreateLogger("KvmSwitch.Daemon");
        await composition.StartAsync(cancellationToken);
        await application.StartAsync(cancellationToken);
        ControlEndpoint.OpenToGroup(paths.Socket, log);

        ReleaseMemory();
        LogReady(log, DaemonState.Version, paths.Socket, string.Join(", ", composition.Configuration.Daemon.Listen.Select(address => $"{address}")));

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(
            cancellationToken, application.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        var shutdown = application.WaitForShutdownAsync(cancellationToken);
        var publishing = composition.Signals.PublishAsync(composition.Configuration, ending.Token);
        var attending = composition.Machines.AttendAsync(ending.Token);
        var watching = composition.Hardware.RunAsync(ending.Token);
        var resting = RestAsync(composition.Switcher, ending.Token);
        var first = await Task.WhenAny(shutdown, composition.Switcher.Ended, publishing, attending, watching, resting);
        if (first == shutdown || ending.IsCancellationRequested) return ExitOk;

        // A defect: better to start anew, which reconciles, than to go on half alive.
        LogDefect(log, first.Exception?.GetBaseException());
        await application.StopAsync(CancellationToken.None);
        return ExitFailed;
    }

    /// <summary>Gives memory back to the system each time that nothing has moved for a while.</summary>
    private static async Task RestAsync(Switcher switcher, CancellationToken cancellationToken)
    {
        await using var quiet = new Timer(_ => ReleaseMemory());
        await foreach (var _ in switcher.WatchAsync(cancellationToken)) quiet.Change(Quiet, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Starting, connecting and moving leave garbage behind that a daemon which idles for weeks should not hold on to.</summary>
    private static void ReleaseMemory() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    private static void AddLogging(ILoggingBuilder logging, bool verbose)
    {
        if (SystemdHelpers.IsSystemdService()) logging.AddSystemdConsole();
        else logging.AddSimpleConsole(options => (options.SingleLine, options.TimestampFormat, options.UseUtcTimestamp) = (true, "HH:mm:ss.fff ", true));

        // It would write the stack trace of what is told in one sentence anyway.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        logging.SetMinimumLevel(LogLevel.Warning).AddFilter("KvmSwitch", verbose ? LogLevel.Debug : LogLevel.Information);
    }

    [LoggerMessage(1300, LogLevel.Information, "kvmswitchd {Version} is ready on {Socket}; guests: {Addresses}")]
    private static partial void LogReady(ILogger log, string version, string socket, string addresses);

    [LoggerMessage(1301, LogLevel.Critical, "A part of the daemon ended; it stops, to be started anew")]
    private static partial void LogDefect(ILogger log, Exception? defect);
}
