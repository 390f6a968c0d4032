namespace KvmSwitch.Agent.Windows.Pipe;

/// <summary>Lines of bytes from a stream, none longer than it may be.</summary>
/// <param name="longest">Bytes of a line, its end included.</param>
internal sealed class LineReader(Stream stream, int longest)
{
    private readonly byte[] buffer = new byte[longest];
    private int start;
    private int end;

    /// <summary>The next line without its end, valid until the next call; null at the end of the stream, where an unfinished line is dropped.</summary>
    /// <exception cref="InvalidDataException">The line is too long.</exception>
    /// <exception cref="IOException">The stream broke.</exception>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var length = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            if (length >= 0)
            {
                var line = buffer.AsMemory(start, length);
                start += length + 1;
                return line;
            }

            MakeRoom();
            var count = await stream.ReadAsync(buffer.AsMemory(end), cancellationToken);
            if (count == 0)
                return null;
            end += count;
        }
    }

    private void MakeRoom()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }

        if (end == buffer.Length)
            throw new InvalidDataException($"a line is longer than {longest} bytes");
    }
}
