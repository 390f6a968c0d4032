using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvmSwitch.Linux;

/// <summary>A message bus by way of sd-bus. One thread owns it, as sd-bus wants, and sleeps in poll(2) until the bus or a caller has something.</summary>
public sealed class SdBusConnection : IMessageBus
{
    private readonly ConcurrentQueue<Work> _work = new();
    private readonly Dictionary<ulong, TaskCompletionSource<ImmutableArray<BusValue>>> _pending = [];
    private readonly SafeFileHandle _wake;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly nint _bus;
    private MessageBusException? _end;

    private SdBusConnection(nint bus, SafeFileHandle wake)
    {
        (_bus, _wake) = (bus, wake);
        new Thread(Run) { IsBackground = true, Name = "D-Bus" }.Start();
    }

    /// <summary>The address of the system's bus.</summary>
    public static string SystemAddress(KernelPaths paths) =>
        Environment.GetEnvironmentVariable("DBUS_SYSTEM_BUS_ADDRESS") ?? $"unix:path={paths.Run}/dbus/system_bus_socket";

    /// <summary>Connects without waiting for the bus's greeting: a bus that keeps silent is noticed by the deadline of the first call.</summary>
    /// <param name="address">As <c>unix:path=/run/dbus/system_bus_socket</c>.</param>
    /// <exception cref="MessageBusException">There is no bus, or no libsystemd.</exception>
    public static SdBusConnection Connect(string address)
    {
        nint bus = 0;
        try
        {
            Require(SdBus.New(out bus), address);
            Require(SdBus.SetAddress(bus, address), address);
            Require(SdBus.SetBusClient(bus, 1), address);
            Require(SdBus.Start(bus), address);
            var wake = Libc.EventDescriptor(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
            return wake.IsInvalid ? throw Libc.Error("D-Bus can't be used") : new SdBusConnection(bus, wake);
        }
        catch (DllNotFoundException e)
        {
            throw new MessageBusException(null, $"D-Bus can't be used: {e.Message}");
        }
        catch
        {
            if (bus != 0) SdBus.CloseUnref(bus);
            throw;
        }
    }

    public async Task<ImmutableArray<BusValue>> CallMethodAsync(MethodCall call, CancellationToken cancellationToken)
    {
        var reply = new TaskCompletionSource<ImmutableArray<BusValue>>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(new(call, reply));
        try
        {
            return await reply.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            // Who no longer waits leaves nothing behind; a reply that still comes is dropped.
            if (!reply.Task.IsCompleted) Post(new(null, reply));
        }
    }

    public async ValueTask DisposeAsync()
    {
        Interlocked.CompareExchange(ref _end, new(null, "the connection to the message bus is closed"), null);
        Wake();
        await _ended.Task;
    }

    private static void Require(int result, string address)
    {
        if (result < 0) throw new MessageBusException(null, $"the message bus at {address} can't be reached: {Marshal.GetPInvokeErrorMessage(-result)}");
    }

    private void Post(Work work)
    {
        _work.Enqueue(work);
        Wake();
        // The thread looks into the queue once more after this: one of the two sees the other.
        if (_ended.Task.IsCompleted) work.Reply.TrySetException(_end!);
    }

    private void Wake()
    {
        Span<byte> one = [1, 0, 0, 0, 0, 0, 0, 0];
        try
        {
            _ = Libc.Write(_wake, one, one.Length);
        }
        catch (ObjectDisposedException)
        {
            // The thread has ended: nobody is to be woken.
        }
    }

    private void Take(Work work)
    {
        if (work.Call is not null)
        {
            Send(work.Call, work.Reply);
        }
        else
        {
            foreach (var (cookie, _) in _pending.Where(pair => pair.Value == work.Reply).ToArray()) _pending.Remove(cookie);
        }
    }

    private void Send(MethodCall call, TaskCompletionSource<ImmutableArray<BusValue>> reply)
    {
        nint message = 0;
        try
        {
            var result = SdBus.NewMethodCall(_bus, out message, call.Destination, call.Path, call.Interface, call.Member);
            if (result < 0) throw new ArgumentException($"D-Bus allows no such call: {call} of {call.Destination} at {call.Path}", nameof(call));
            foreach (var argument in call.Arguments) SdBusCodec.Append(message, argument);
            result = SdBus.Send(_bus, message, out var cookie);
            if (result < 0) throw new MessageBusException(null, $"{call} can't be sent: {Marshal.GetPInvokeErrorMessage(-result)}");
            _pending[cookie] = reply;
        }
        catch (Exception failure) when (failure is ArgumentException or MessageBusException)
        {
            reply.TrySetException(failure);
        }
        finally
        {
            if (message != 0) SdBus.Unref(message);
        }
    }

    private void Run()
    {
        try
        {
            while (Volatile.Read(ref _end) is null)
            {
                while (_work.TryDequeue(out var work)) Take(work);
                if (!ProcessOne()) Sleep();
            }
        }
        catch (IOException e)
        {
            Interlocked.CompareExchange(ref _end, new(null, e.Message), null);
        }

        SdBus.CloseUnref(_bus);
        _wake.Dispose();
        _ended.SetResult();
        while (_work.TryDequeue(out var late)) late.Reply.TrySetException(_end!);
        foreach (var waiter in _pending.Values) waiter.TrySetException(_end!);
    }

    /// <returns>False when there is nothing to do but wait.</returns>
    private bool ProcessOne()
    {
        var result = SdBus.Process(_bus, out var message);
        if (result < 0) throw Libc.Error("the connection to the message bus has ended", -result);
        if (message == 0) return result > 0;
        try
        {
            if (SdBus.GetReplyCookie(message, out var cookie) >= 0 && _pending.Remove(cookie, out var waiter)) Complete(waiter, message);
        }
        finally
        {
            SdBus.Unref(message);
        }

        return true;
    }

    private static unsafe void Complete(TaskCompletionSource<ImmutableArray<BusValue>> waiter, nint message)
    {
        var error = SdBus.GetError(message);
        if (error is not null && error[0] != 0)
        {
            var text = Marshal.PtrToStringUTF8(error[1]) ?? "";
            waiter.TrySetException(new MessageBusException(Marshal.PtrToStringUTF8(error[0]), SysfsText.Clean(text)));
            return;
        }

        try
        {
            waiter.TrySetResult(SdBusCodec.ReadAll(message));
        }
        catch (IOException e)
        {
            waiter.TrySetException(new MessageBusException(null, e.Message));
        }
    }

    private unsafe void Sleep()
    {
        var descriptors = stackalloc Libc.PollDescriptor[2];
        descriptors[0] = new() { Descriptor = SdBus.GetDescriptor(_bus), Events = (short)SdBus.GetEvents(_bus) };
        descriptors[1] = new() { Descriptor = (int)_wake.DangerousGetHandle(), Events = Libc.POLLIN };
        _ = Libc.Poll(descriptors, 2, TimeoutMilliseconds());
        Span<byte> count = stackalloc byte[8];
        if (descriptors[1].Happened != 0) _ = Libc.Read(_wake, count, count.Length);
    }

    private int TimeoutMilliseconds()
    {
        if (SdBus.GetTimeout(_bus, out var until) < 0 || until == ulong.MaxValue) return -1;
        _ = Libc.ReadClock(Libc.CLOCK_MONOTONIC, out var now);
        var left = (until / 1000.0) - (now.Seconds * 1000.0) - (now.Nanoseconds / 1e6);
        return (int)Math.Clamp(Math.Ceiling(left), 0, int.MaxValue);
    }

    /// <param name="Call">Null to forget about the reply.</param>
    private sealed record Work(MethodCall? Call, TaskCompletionSource<ImmutableArray<BusValue>> Reply);
}
