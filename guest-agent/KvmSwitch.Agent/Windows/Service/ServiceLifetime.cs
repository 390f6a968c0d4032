using System.Runtime.Versioning;
using System.ServiceProcess;
using KvmSwitch.Proto.V1;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.WindowsServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvmSwitch.Agent.Windows.Service;

/// <summary>The service as the service control manager sees it; it also tells of sessions and of the machine's sleep.</summary>
[SupportedOSPlatform("windows")]
internal sealed class ServiceLifetime : WindowsServiceLifetime
{
    private readonly WindowsAgent agent;
    private readonly LogonHotkeys logon;

    public ServiceLifetime(
        IHostEnvironment environment, IHostApplicationLifetime service, ILoggerFactory logs, IOptions<HostOptions> options, WindowsAgent agent,
        LogonHotkeys logon)
        : base(environment, service, logs, options)
    {
        this.agent = agent;
        this.logon = logon;
        // The event source is ours, and so are the words in it.
        AutoLog = false;
        CanHandleSessionChangeEvent = true;
        CanHandlePowerEvent = true;
    }

    protected override void OnStop()
    {
        ExitCode = Environment.ExitCode;
        base.OnStop();
    }

    protected override void OnSessionChange(SessionChangeDescription changeDescription)
    {
        if (changeDescription.Reason is SessionChangeReason.ConsoleConnect)
            logon.ConsoleChanged();
        SessionEvent.Types.Kind? kind = changeDescription.Reason switch
        {
            SessionChangeReason.SessionLock => SessionEvent.Types.Kind.Lock,
            SessionChangeReason.SessionUnlock => SessionEvent.Types.Kind.Unlock,
            SessionChangeReason.SessionLogon => SessionEvent.Types.Kind.Logon,
            SessionChangeReason.SessionLogoff => SessionEvent.Types.Kind.Logoff,
            _ => null,
        };
        if (kind is { } happened)
            agent.Tell(happened);
    }

    protected override bool OnPowerEvent(PowerBroadcastStatus powerStatus)
    {
        SessionEvent.Types.Kind? kind = powerStatus switch
        {
            PowerBroadcastStatus.Suspend => SessionEvent.Types.Kind.Suspend,
            PowerBroadcastStatus.ResumeAutomatic => SessionEvent.Types.Kind.Resume,
            _ => null,
        };
        if (kind is { } happened)
            agent.Tell(happened);
        return true;
    }
}
