using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>
/// Frames over a connected socket. It waits in the system call itself and starts no thread: threads were a third of what a short
/// command took.
/// </summary>
internal sealed class Wire(UnixSocket socket)
{
    // Not cleared, as clearing touches every page of what a short answer uses one of.
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(Frame.HeadLength + Frame.LargestPayload);
    private int _start;
    private int _end;

    /// <exception cref="PeerGoneException">The peer hung up.</exception>
    public void Send(MemoryStream frames)
    {
        try
        {
            socket.Send(frames.GetBuffer().AsSpan(0, (int)frames.Length));
        }
        catch (Win32Exception failure)
        {
            throw new PeerGoneException("the daemon takes no more words", failure);
        }
    }

    /// <summary>The next frame; null when it was not there at <paramref name="until"/> (<see cref="Stopwatch.GetTimestamp"/>).</summary>
    /// <exception cref="PeerGoneException">The peer hung up.</exception>
    /// <exception cref="Http2ProtocolException">This is no HTTP/2.</exception>
    public Frame? Next(long until)
    {
        if (!Fill(Frame.HeadLength, until))
        {
            return null;
        }

        var head = _buffer.AsSpan(_start);
        var length = BinaryPrimitives.ReadInt32BigEndian(head) >>> 8;
        var (type, flags) = ((FrameType)head[3], head[4]);
        var stream = BinaryPrimitives.ReadInt32BigEndian(head[5..]) & int.MaxValue;
        if (length > Frame.LargestPayload)
        {
            throw new Http2ProtocolException($"a frame of {length} bytes, which nobody allowed");
        }

        if (!Fill(Frame.HeadLength + length, until))
        {
            return null;
        }

        var payload = _buffer.AsMemory(_start + Frame.HeadLength, length);
        _start += Frame.HeadLength + length;
        return new Frame(type, flags, stream, payload);
    }

    private bool Fill(int count, long until)
    {
        if (_start + count > _buffer.Length)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        while (_end - _start < count)
        {
            if (Receive(until) is not { } received)
            {
                return false;
            }

            _end += received;
        }

        return true;
    }

    private int? Receive(long until)
    {
        try
        {
            while (Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), until) is { Ticks: > 0 } left)
            {
                if (socket.Receive(_buffer.AsSpan(_end), left) is { } count)
                {
                    return count > 0 ? count : throw new PeerGoneException("the daemon hung up");
                }
            }

            return null;
        }
        catch (Win32Exception failure)
        {
            throw new PeerGoneException("the daemon hung up", failure);
        }
    }
}
