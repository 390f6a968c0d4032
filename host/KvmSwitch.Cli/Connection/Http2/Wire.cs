using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Sockets;

namespace KvmSwitch.Cli.Connection.Http2;

/// <summary>
/// Frames over a connected socket. It waits in the system call itself and starts no thread: threads were a third of what a short
/// command took.
/// </summary>
internal sealed class Wire(Socket socket)
{
    private readonly byte[] _buffer = new byte[Frame.HeadLength + Frame.LargestPayload];
    private int _start;
    private int _end;

    /// <exception cref="PeerGoneException">The peer hung up.</exception>
    public void Send(MemoryStream frames)
    {
        try
        {
            socket.Send(frames.GetBuffer().AsSpan(0, (int)frames.Length));
        }
        catch (SocketException failure)
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
            // A timeout of 0 would mean for ever.
            socket.ReceiveTimeout = Math.Max(1, (int)Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), until).TotalMilliseconds);
            var count = socket.Receive(_buffer.AsSpan(_end));
            return count > 0 ? count : throw new PeerGoneException("the daemon hung up");
        }
        catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock)
        {
            return null;
        }
        catch (SocketException failure)
        {
            throw new PeerGoneException("the daemon hung up", failure);
        }
    }
}
