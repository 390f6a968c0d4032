using KvmSwitch.Agent.Windows.Pipe;
using KvmSwitch.Agent.Windows.Tray;

namespace KvmSwitch.Agent.Windows.Session;

/// <summary>The service can't be asked; the message is one sentence with the next step.</summary>
internal sealed class ServiceNotAnsweringException(string message, Exception? inner = null) : AgentException(message, inner);

/// <summary>The service or the host said no.</summary>
internal sealed class RequestDeclinedException(string message) : AgentException(message);

/// <summary>One question of a command line to the service.</summary>
internal static class ServiceRequest
{
    private static readonly TimeSpan StateDeadline = TimeSpan.FromSeconds(5);

    // A handoff of several devices may take as long.
    private static readonly TimeSpan ReplyDeadline = TimeSpan.FromSeconds(60);

    /// <summary>What the service shows.</summary>
    /// <exception cref="ServiceNotAnsweringException">It can't be asked.</exception>
    public static async Task<PipeState> StateAsync(ServiceEdges edges, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(edges, cancellationToken);
        return await WaitAsync(connection, message => message.State, StateDeadline, cancellationToken);
    }

    /// <summary>Has something done, and returns when it was.</summary>
    /// <exception cref="RequestDeclinedException">It was not.</exception>
    /// <exception cref="ServiceNotAnsweringException">It can't be asked, or gave no answer.</exception>
    public static async Task AskAsync(PipeVerb verb, IReadOnlyList<string> targets, ServiceEdges edges, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(edges, cancellationToken);
        const ulong Id = 1;
        try
        {
            await connection.SendAsync(new(Id, verb, targets, "cli"), cancellationToken);
        }
        catch (IOException broken)
        {
            throw new ServiceNotAnsweringException(broken.Message, broken);
        }

        var reply = await WaitAsync(connection, message => message.Reply?.Id == Id ? message.Reply : null, ReplyDeadline, cancellationToken);
        if (reply.Error is { } error)
            throw new RequestDeclinedException(error);
    }

    public static string WhatToDo(ServiceHealth health) => health switch
    {
        ServiceHealth.Missing => "The KvmSwitch service is not installed: run the installer.",
        ServiceHealth.Stopped => $"The KvmSwitch service is not running: start it with 'net start {ServiceText.Name}' as administrator.",
        _ => "The KvmSwitch service does not answer: it may be starting, or this user may not ask it; try again in a moment.",
    };

    private static async Task<ServiceConnection> OpenAsync(ServiceEdges edges, CancellationToken cancellationToken)
    {
        try
        {
            return await edges.OpenAsync(cancellationToken);
        }
        catch (Exception absent) when (absent is IOException or UnauthorizedAccessException)
        {
            throw new ServiceNotAnsweringException(WhatToDo(edges.Health()), absent);
        }
    }

    private static async Task<T> WaitAsync<T>(ServiceConnection connection, Func<FromService, T?> wanted, TimeSpan deadline, CancellationToken cancellationToken)
        where T : class
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        late.CancelAfter(deadline);
        try
        {
            while (await connection.ReceiveAsync(late.Token) is { } message)
            {
                if (wanted(message) is { } found)
                    return found;
            }

            throw new ServiceNotAnsweringException("The KvmSwitch service closed the connection without an answer: it may be restarting; try again.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ServiceNotAnsweringException($"The KvmSwitch service gave no answer within {deadline.TotalSeconds:0} s.");
        }
        catch (Exception broken) when (broken is IOException or InvalidDataException)
        {
            throw new ServiceNotAnsweringException($"The connection to the KvmSwitch service broke: {broken.Message}", broken);
        }
    }
}

/// <summary>What the service is called.</summary>
internal static class ServiceText
{
    public const string Name = "KvmSwitchAgent";
}
