using System.Runtime.InteropServices;

namespace KvmSwitch.Cli;

/// <summary>SIGINT and SIGTERM as an end in good order, from when somebody asks for it.</summary>
internal sealed class StopSignals : IDisposable
{
    /// <summary>As a shell tells of a program that SIGTERM ended.</summary>
    public const int TerminatedExit = 143;

    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public bool Terminated { get; private set; }

    public CancellationToken Listen()
    {
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop));
        return _stop.Token;
    }

    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _stop.Dispose();
    }

    // The first signal ends the command in good order, the second one the process.
    private void Stop(PosixSignalContext context)
    {
        context.Cancel = !_stop.IsCancellationRequested;
        Terminated = context.Signal == PosixSignal.SIGTERM;
        _stop.Cancel();
    }
}
