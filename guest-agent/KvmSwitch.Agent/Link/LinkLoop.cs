using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using KvmSwitch.Agent.Enrolment;

namespace KvmSwitch.Agent.Link;

/// <summary>What the loop needs from the system that it runs on.</summary>
internal sealed record LinkEdges(IDeviceWatcher Devices, IHotkeys Hotkeys, IPower Power, IJournal Journal, TimeProvider Time)
{
    /// <summary>Null where the system can't eject.</summary>
    public IEjector? Ejector { get; init; }

    /// <summary>Null where nobody wants to know.</summary>
    public ILinkListener? Listener { get; init; }
}

/// <summary>Keeps a link to the host for ever: waits for pairing, connects, reconnects, follows a new pairing at once.</summary>
internal sealed class LinkLoop(IdentityStore store, LinkEdges edges, string version, string operatingSystem)
{
    /// <summary>Between two attempts with a certificate that the host does not accept.</summary>
    public static readonly TimeSpan RefusedInterval = TimeSpan.FromSeconds(30);

    private readonly StateLines lines = new(edges.Journal);
    private readonly BackOff backOff = new();
    private readonly HostDialogue dialogue = new(edges);

    /// <summary>For what this guest tells and asks beside its devices.</summary>
    public HostDialogue Dialogue => dialogue;

    /// <summary>Returns after <paramref name="stop"/>, with the link closed in good order.</summary>
    /// <exception cref="BadIdentityException">The state directory can't be made or watched.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        using var watch = new IdentityWatch(store);
        edges.Hotkeys.Pressed = dialogue.Press;
        while (!stop.IsCancellationRequested)
        {
            var changed = watch.NextChange;
            if (LoadIdentity() is { } identity)
                await ServeAsync(identity, changed, stop);
            else
                await WaitAsync(changed, stop);
        }

        edges.Journal.Write("Stopped.");
    }

    private HostIdentity? LoadIdentity()
    {
        try
        {
            if (store.Load() is { } identity)
                return identity;
            Say(LinkStanding.NotPaired, null, $"Not paired: run 'kvmswitch guest pair' on the host, then '{AgentProgram.Name} join CODE' here. Waiting for that in {store.Directory}.");
        }
        catch (BadIdentityException bad)
        {
            Say(LinkStanding.NotPaired, null, bad.Message);
        }

        return null;
    }

    /// <summary>Stays with one identity until it changes.</summary>
    private async Task ServeAsync(HostIdentity identity, Task changed, CancellationToken stop)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var certificate = OpenCertificate(identity);
        if (certificate is null)
        {
            await WaitAsync(changed, stop);
            return;
        }

        var serving = KeepLinkedAsync(identity, certificate, over.Token);
        await Task.WhenAny(serving, changed);
        await over.CancelAsync();
        await serving;
    }

    private X509Certificate2? OpenCertificate(HostIdentity identity)
    {
        try
        {
            return identity.Credential.Open();
        }
        catch (CryptographicException damaged)
        {
            Say(LinkStanding.Refused, identity.Machine, $"The stored certificate can't be used ({damaged.Message}): pair this guest again with '{AgentProgram.Name} join CODE'.");
            return null;
        }
    }

    private async Task KeepLinkedAsync(HostIdentity identity, X509Certificate2 certificate, CancellationToken stop)
    {
        backOff.Reset();
        while (!stop.IsCancellationRequested)
        {
            var pause = await TryAllAsync(identity, certificate, stop);
            await WaitAsync(Task.Delay(pause, edges.Time, stop), stop);
        }
    }

    /// <summary>One attempt at each address; returns how long to wait before the next round.</summary>
    private async Task<TimeSpan> TryAllAsync(HostIdentity identity, X509Certificate2 certificate, CancellationToken stop)
    {
        var failures = new List<string>();
        foreach (var address in identity.Addresses)
        {
            try
            {
                await LinkAsync(identity, certificate, address, stop);
                return TimeSpan.Zero;
            }
            catch (LinkRefusedException refused)
            {
                Say(LinkStanding.Refused, identity.Machine, refused.Message);
                return RefusedInterval;
            }
            catch (LinkLostException lost) when (dialogue.WasWelcomed)
            {
                Say(LinkStanding.Unreachable, identity.Machine, $"Lost the host: {lost.Message}. Trying to reach it again.");
                backOff.Reset();
                return backOff.Next(Random.Shared.NextDouble());
            }
            catch (LinkLostException lost)
            {
                failures.Add(lost.Message);
            }
        }

        Say(LinkStanding.Unreachable, identity.Machine, $"Can't reach the host: {string.Join("; ", failures)}. Trying again until it answers.");
        return backOff.Next(Random.Shared.NextDouble());
    }

    /// <summary>One link; returns only when asked to stop.</summary>
    private async Task LinkAsync(HostIdentity identity, X509Certificate2 certificate, HostAddress address, CancellationToken stop)
    {
        using var channel = new HostChannel(address, ServerTrust.InCa(identity.CaCertificate), certificate);
        // Cancelled by the session itself, in good order: a token here would cut the goodbye off.
        var call = channel.Client.Link(cancellationToken: CancellationToken.None);
        using var session = new LinkSession(call, edges.Devices, edges.Ejector is not null, edges.Time)
        {
            Received = message => dialogue.Hear(message, welcome => Linked(address, welcome.Machine, Clocks())),
        };
        dialogue.Begin(session);
        try
        {
            await session.RunAsync(version, operatingSystem, stop);
        }
        catch (RpcException refused) when (refused.StatusCode is StatusCode.Unauthenticated or StatusCode.PermissionDenied)
        {
            throw new LinkRefusedException(
                $"The host at {address} refuses this guest ({refused.Status.Detail.TrimEnd('.')}): pair it again with 'kvmswitch guest pair' there and '{AgentProgram.Name} join CODE' here. {Clocks()}".TrimEnd(),
                refused);
        }
        catch (RpcException broken)
        {
            throw new LinkLostException(channel.Explain(broken), broken);
        }
        finally
        {
            dialogue.End();
        }

        string? Clocks() => HostClock.Compare(call.ResponseHeadersAsync, edges.Time.GetUtcNow());
    }

    private void Linked(HostAddress address, string machine, string? clocks)
    {
        lines.Say($"Linked to {address} as machine {machine}. {clocks}".TrimEnd());
        edges.Listener?.LinkIs(LinkStanding.Connected, machine, clocks);
    }

    private void Say(LinkStanding standing, string? machine, string line)
    {
        lines.Say(line);
        edges.Listener?.LinkIs(standing, machine, line);
    }

    private static async Task WaitAsync(Task task, CancellationToken stop)
    {
        try
        {
            await task.WaitAsync(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The caller looks at the token itself.
        }
    }
}
