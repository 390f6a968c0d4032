using System.IO.Pipes;
using System.Runtime.Versioning;
using System.Security.AccessControl;
using System.Security.Principal;

namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>The named pipe: who may open it, and how many at a time.</summary>
[SupportedOSPlatform("windows")]
internal sealed class PipeListener(PipeService service, IJournal journal, TimeProvider time)
{
    private const int MostClients = 24;

    // One user must not lock the others out.
    private const int MostInOneSession = 6;
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(5);

    private readonly Dictionary<uint, int> sessions = [];
    private readonly Lock gate = new();

    /// <summary>Listens until stopped; clients that are there are let go.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var serving = new List<Task>();
        var first = true;
        while (!stop.IsCancellationRequested)
        {
            if (await AcceptAsync(first, stop) is { } pipe)
            {
                first = false;
                serving.RemoveAll(one => one.IsCompleted);
                serving.Add(ServeAsync(pipe, stop));
            }

            if (serving.Count >= MostClients - 1)
                await Task.WhenAny([.. serving, Task.Delay(Timeout.Infinite, stop)]);
        }

        await Task.WhenAll(serving);
    }

    /// <summary>Interactive users may read and write; nobody comes over the network; only the service makes further instances.</summary>
    public static PipeSecurity Rules()
    {
        var rules = new PipeSecurity();
        rules.AddAccessRule(new(new SecurityIdentifier(WellKnownSidType.NetworkSid, null), PipeAccessRights.FullControl, AccessControlType.Deny));
        rules.AddAccessRule(new(new SecurityIdentifier(WellKnownSidType.InteractiveSid, null), PipeAccessRights.ReadWrite, AccessControlType.Allow));
        rules.AddAccessRule(new(new SecurityIdentifier(WellKnownSidType.LocalSystemSid, null), PipeAccessRights.FullControl, AccessControlType.Allow));
        rules.AddAccessRule(new(new SecurityIdentifier(WellKnownSidType.BuiltinAdministratorsSid, null), PipeAccessRights.FullControl, AccessControlType.Allow));
        return rules;
    }

    private async Task<NamedPipeServerStream?> AcceptAsync(bool first, CancellationToken stop)
    {
        NamedPipeServerStream? pipe = null;
        try
        {
            // The first instance of the name must be ours: else another program has set itself up in the service's place.
            var options = PipeOptions.Asynchronous | (first ? PipeOptions.FirstPipeInstance : PipeOptions.None);
            pipe = NamedPipeServerStreamAcl.Create(
                PipeContract.Name, PipeDirection.InOut, MostClients, PipeTransmissionMode.Byte, options, 0, 0, Rules());
            await pipe.WaitForConnectionAsync(stop);
            return pipe;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            if (pipe is not null)
                await pipe.DisposeAsync();
            if (stop.IsCancellationRequested)
                return null;
            journal.Write($"The pipe for the tray can't be opened ({failed.Message.TrimEnd('.')}): trying again.");
            await Task.Delay(Retry, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return null;
        }
    }

    private async Task ServeAsync(NamedPipeServerStream pipe, CancellationToken stop)
    {
        await using var closing = pipe;
        var session = PipeNative.SessionOf(pipe);
        if (!Enter(session))
            return;
        try
        {
            if (await service.ServeAsync(pipe, stop) is { } why)
                journal.Write($"A program of session {session} was cut off from the pipe: {why}.");
        }
        finally
        {
            Leave(session);
        }
    }

    private bool Enter(uint session)
    {
        lock (gate)
        {
            var count = sessions.GetValueOrDefault(session);
            if (count >= MostInOneSession)
                return false;
            sessions[session] = count + 1;
            return true;
        }
    }

    private void Leave(uint session)
    {
        lock (gate)
            sessions[session]--;
    }
}
