namespace KvmSwitch.Qmp.Transport;

/// <summary>Cuts a stream of bytes into lines, wherever the peer splits or joins them, and never holds more than one line's limit.</summary>
internal sealed class LineReader(Stream stream, int maxLineBytes)
{
    private const int UsualBytes = 16 * 1024;

    private byte[] _buffer = new byte[Math.Min(UsualBytes, maxLineBytes + 1)];
    private int _start;
    private int _scanned;
    private int _end;

    /// <summary>The next line without its end, valid until the next call; null when the stream ended between two lines.</summary>
    /// <exception cref="QmpProtocolException">The line is too long, or the stream ended within one.</exception>
    internal async ValueTask<ReadOnlyMemory<byte>?> ReadLineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (TryTakeLine(out var line))
            {
                return line;
            }

            MakeRoom();
            var count = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
            if (count == 0)
            {
                return _end == _start
                    ? null
                    : throw new QmpProtocolException("QEMU closed the connection in the middle of a message.");
            }

            _end += count;
        }
    }

    private bool TryTakeLine(out ReadOnlyMemory<byte> line)
    {
        var feed = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
        if (feed < 0)
        {
            _scanned = _end;
            line = default;
            return false;
        }

        var stop = _scanned + feed;
        line = _buffer.AsMemory(_start, stop - _start);
        _start = _scanned = stop + 1;
        return true;
    }

    private void MakeRoom()
    {
        var length = _end - _start;
        if (length > maxLineBytes)
        {
            throw new QmpProtocolException($"QEMU sent a line of more than {maxLineBytes} bytes.");
        }

        // One byte above the limit leaves room for the line's end; a buffer grown for one long line is given back after it.
        var wanted = length < UsualBytes / 2 ? UsualBytes : Math.Max(_buffer.Length, length * 2);
        wanted = Math.Min(wanted, maxLineBytes + 1);
        if (_start == 0 && wanted == _buffer.Length)
        {
            return;
        }

        var target = wanted == _buffer.Length ? _buffer : new byte[wanted];
        _buffer.AsSpan(_start, length).CopyTo(target);
        _buffer = target;
        (_start, _scanned, _end) = (0, length, length);
    }
}
