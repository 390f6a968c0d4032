using System.CommandLine;
using System.Runtime.Versioning;
using KvmSwitch.Agent.Cli;
using KvmSwitch.Agent.Enrolment;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary><c>service</c>: what the service control manager runs.</summary>
[SupportedOSPlatform("windows")]
internal static class ServiceCommand
{
    public static Command Create()
    {
        var state = Root.StateOption();
        var command = new Command("service", "Run as the Windows service KvmSwitchAgent; only Windows itself starts this.") { state };
        command.SetAction((parsed, _) => RunAsync(new IdentityStore(parsed.GetRequiredValue(state))));
        return command;
    }

    private static async Task<int> RunAsync(IdentityStore store)
    {
        using var journal = new EventJournal();
        var builder = Host.CreateEmptyApplicationBuilder(new() { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton<IJournal>(journal);
        builder.Services.AddSingleton(new WindowsAgent(store, journal, Root.Version));
        builder.Services.AddSingleton(new LogonHotkeys(journal, TimeProvider.System));
        builder.Services.AddSingleton<IHostLifetime, ServiceLifetime>();
        builder.Services.AddHostedService<AgentWorker>();
        using var host = builder.Build();
        try
        {
            await host.RunAsync();
            return Environment.ExitCode;
        }
        catch (InvalidOperationException refused)
        {
            await Console.Error.WriteLineAsync($"{AgentProgram.Name}: {refused.Message} This verb is for the service control manager; use 'run' on a command line.");
            return 1;
        }
    }
}
