using System.Text;
using CsCheck;
using KvmSwitch.Qmp;
using KvmSwitch.Qmp.Transport;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class LineReaderTests
{
    private static readonly Gen<string> _line = Gen.String[Gen.Char.AlphaNumeric, 0, 40_000];

    [Fact]
    public void Lines_survive_any_splitting_and_joining() =>
        Gen.Select(_line.List[0, 8], Gen.Int[1, 30_000].List[1, 12]).Sample(
            (lines, pieces) =>
            {
                var bytes = Encoding.ASCII.GetBytes(string.Concat(lines.Select(line => line + "\n")));
                return ReadAll(new PiecewiseStream(bytes, pieces), 1_000_000).SequenceEqual(lines, StringComparer.Ordinal);
            },
            iter: 300);

    [Fact]
    public void Single_bytes_make_lines() =>
        Assert.Equal(["", "ab", "c"], ReadAll(new PiecewiseStream("\nab\nc\n"u8.ToArray(), [1]), 100));

    [Theory]
    [InlineData(100, 100)]
    [InlineData(20_000, 20_000)]
    [InlineData(16_383, 16_383)]
    [InlineData(16_384, 16_384)]
    public void A_line_of_just_the_limit_is_read(int length, int limit)
    {
        var line = new string('x', length);
        Assert.Equal([line], ReadAll(new PiecewiseStream(Encoding.ASCII.GetBytes(line + "\n"), [7_000]), limit));
    }

    [Theory]
    [InlineData(101, 100)]
    [InlineData(20_001, 20_000)]
    [InlineData(5_000_000, 20_000)]
    public void A_line_above_the_limit_is_refused(int length, int limit)
    {
        var bytes = Encoding.ASCII.GetBytes(new string('x', length) + "\n");
        Assert.Throws<QmpProtocolException>(() => ReadAll(new PiecewiseStream(bytes, [7_000]), limit));
    }

    [Fact]
    public void An_end_within_a_line_is_told_apart_from_an_end_between_lines()
    {
        Assert.Equal(["a"], ReadAll(new PiecewiseStream("a\n"u8.ToArray(), [1]), 100));
        Assert.Throws<QmpProtocolException>(() => ReadAll(new PiecewiseStream("a\nb"u8.ToArray(), [1]), 100));
    }

    private static List<string> ReadAll(Stream stream, int limit)
    {
        var reader = new LineReader(stream, limit);
        var lines = new List<string>();
        while (Next() is { } line)
        {
            lines.Add(Encoding.ASCII.GetString(line.Span));
        }

        return lines;

        // The stream below never waits, so the result is always there.
        ReadOnlyMemory<byte>? Next()
        {
            var read = reader.ReadLineAsync(CancellationToken.None);
            Assert.True(read.IsCompleted);
            return read.GetAwaiter().GetResult();
        }
    }

    /// <summary>Gives its bytes in pieces of the given sizes, in turn.</summary>
    private sealed class PiecewiseStream(byte[] bytes, IReadOnlyList<int> pieces) : MemoryStream(bytes)
    {
        private int _turn;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var size = Math.Min(pieces[_turn++ % pieces.Count], buffer.Length);
            return base.ReadAsync(buffer[..size], cancellationToken);
        }
    }
}
