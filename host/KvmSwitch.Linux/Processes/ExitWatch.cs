using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux;

/// <summary>One thread that sleeps in epoll until one of the watched processes ends. A pidfd becomes readable then.</summary>
internal sealed class ExitWatch
{
    private static readonly Lazy<ExitWatch> Shared = new(() => new());

    // struct epoll_event is packed on x86-64 and on no other architecture.
    private static readonly int DataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private readonly ConcurrentDictionary<long, TaskCompletionSource> _waiting = new();
    private readonly int _epoll;
    private long _lastKey;

    private ExitWatch()
    {
        _epoll = Libc.EpollCreate(Libc.EPOLL_CLOEXEC);
        if (_epoll < 0) throw Libc.Error("processes can't be watched");
        new Thread(Run) { IsBackground = true, Name = "process exits" }.Start();
    }

    /// <exception cref="OperationCanceledException">Cancelled; the process is watched no longer.</exception>
    public static Task WaitAsync(PidFd process, CancellationToken cancellationToken) => Shared.Value.WatchAsync(process, cancellationToken);

    private async Task WatchAsync(PidFd process, CancellationToken cancellationToken)
    {
        var key = Interlocked.Increment(ref _lastKey);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[key] = ended;
        try
        {
            Change(process, Libc.EPOLL_CTL_ADD, key);
            await ended.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            _waiting.TryRemove(key, out _);
            Change(process, Libc.EPOLL_CTL_DEL, key);
        }
    }

    private unsafe void Change(PidFd process, int operation, long key)
    {
        var change = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(new Span<byte>(change, 4), Libc.EPOLLIN | Libc.EPOLLONESHOT);
        BinaryPrimitives.WriteInt64LittleEndian(new Span<byte>(change + DataOffset, 8), key);
        if (Libc.EpollControl(_epoll, operation, process, change) != 0 && operation == Libc.EPOLL_CTL_ADD)
        {
            throw Libc.Error("a process can't be watched");
        }
    }

    private unsafe void Run()
    {
        var ended = stackalloc byte[16];
        while (true)
        {
            var count = Libc.EpollWait(_epoll, ended, 1, -1);
            if (count < 0 && Marshal.GetLastPInvokeError() != Libc.EINTR) throw Libc.Error("watching processes failed");
            if (count <= 0) continue;
            var key = BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(ended + DataOffset, 8));
            if (_waiting.TryRemove(key, out var waiter)) waiter.TrySetResult();
        }
    }
}
