using System.Runtime.Versioning;
using Microsoft.Extensions.Hosting;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>The agent as the work of a service: its failure is the service's, so that the service control manager starts it again.</summary>
[SupportedOSPlatform("windows")]
internal sealed class AgentWorker(WindowsAgent agent, LogonHotkeys logon, IJournal journal, IHostApplicationLifetime service) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            // The link first: it takes longest, and is what a user waits for.
            var linking = agent.RunAsync(stoppingToken);
            ServiceConfiguration.Ensure(journal);
            var watching = logon.RunAsync(stoppingToken);
            await linking;
            await watching;
        }
        catch (Exception failure) when (failure is AgentException or IOException or UnauthorizedAccessException)
        {
            journal.Write($"The service can't go on: {failure.Message}");
            Environment.ExitCode = 1;
            service.StopApplication();
        }
    }
}
