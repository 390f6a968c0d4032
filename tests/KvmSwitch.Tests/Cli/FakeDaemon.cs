using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvmSwitch.Tests.Cli;

/// <summary>The fake Control service on a real Unix socket, in a directory of its own.</summary>
public sealed class FakeDaemon : IAsyncDisposable
{
    private readonly DirectoryInfo home;
    private readonly WebApplication server;

    private FakeDaemon(DirectoryInfo home, FakeControl control, WebApplication server)
    {
        this.home = home;
        this.server = server;
        Control = control;
    }

    public FakeControl Control { get; }

    public string Socket => SocketIn(home);

    public static async Task<FakeDaemon> StartAsync(bool knowsControl = true)
    {
        var directory = Directory.CreateTempSubdirectory("ks-cli");
        var control = new FakeControl();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(SocketIn(directory), listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(control);
        var application = builder.Build();
        if (knowsControl)
        {
            application.MapGrpcService<FakeControl>();
        }

        await application.StartAsync();
        return new FakeDaemon(directory, control, application);
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        home.Delete(recursive: true);
    }

    private static string SocketIn(DirectoryInfo directory) => Path.Combine(directory.FullName, "control.sock");
}
