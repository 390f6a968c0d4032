using System.Text;
using CsCheck;
using KvmSwitch.Qmp;
using KvmSwitch.Qmp.Protocol;
using Xunit;

namespace KvmSwitch.Tests.Qmp;

public sealed class QmpMessageTests
{
    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("17")]
    [InlineData("{}")]
    [InlineData("""{"error":{}}""")]
    [InlineData("""{"error":"text"}""")]
    [InlineData("""{"error":{"class":1,"desc":"x"}}""")]
    [InlineData("""{"event":1}""")]
    [InlineData("""{"event":"\ud800"}""")]
    [InlineData("""{"QMP":{}}""")]
    [InlineData("""{"QMP":{"version":{"qemu":{"major":-1,"minor":0,"micro":0}}}}""")]
    [InlineData("""{"QMP":{"version":{"qemu":{"major":"8","minor":0,"micro":0}}}}""")]
    [InlineData("""{"return":{}} {"return":{}}""")]
    public void What_is_not_qmp_is_refused(string line) =>
        Assert.Throws<QmpProtocolException>(() => QmpMessage.Parse(Encoding.UTF8.GetBytes(line)));

    [Fact]
    public void Bytes_that_are_not_utf8_are_refused() =>
        Assert.Throws<QmpProtocolException>(() => QmpMessage.Parse((byte[])[.. "{\"event\":\"X\",\"data\":\""u8, 0xff, .. "\"}"u8]));

    [Fact]
    public void Any_bytes_at_all_lead_to_a_message_or_to_a_protocol_error() =>
        Gen.OneOf(Gen.Byte.Array, Mutated()).Sample(
            bytes =>
            {
                try
                {
                    QmpMessage.Parse(bytes).Document.Dispose();
                }
                catch (QmpProtocolException)
                {
                    return;
                }
            },
            iter: 5_000);

    [Theory]
    [InlineData("""{"event":"X","timestamp":{"seconds":1795379314,"microseconds":772677}}""", "2026-11-22T20:28:34.772677Z")]
    [InlineData("""{"event":"X","timestamp":{"seconds":-1,"microseconds":-1}}""", "1970-01-01T00:00:00Z")]
    [InlineData("""{"event":"X","timestamp":{"seconds":9e18,"microseconds":0}}""", "1970-01-01T00:00:00Z")]
    [InlineData("""{"event":"X"}""", "1970-01-01T00:00:00Z")]
    public void Timestamps_are_read_or_are_the_epoch(string line, string expected)
    {
        var (document, message) = QmpMessage.Parse(Encoding.UTF8.GetBytes(line));
        using (document)
        {
            Assert.Equal(DateTimeOffset.Parse(expected), Assert.IsType<QmpMessage.Event>(message).Timestamp);
        }
    }

    [Fact]
    public void Answers_nested_a_thousand_deep_are_read()
    {
        var line = "{\"return\":" + new string('[', 1000) + new string(']', 1000) + "}";
        var (document, message) = QmpMessage.Parse(Encoding.UTF8.GetBytes(line));
        document.Dispose();
        Assert.IsType<QmpMessage.Return>(message);
    }

    /// <summary>True messages with a few bytes overwritten.</summary>
    private static Gen<byte[]> Mutated()
    {
        string[] real =
        [
            """{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}""",
            """{"timestamp": {"seconds": 1795379314, "microseconds": 772677}, "event": "DEVICE_DELETED", "data": {"device": "k1"}}""",
            """{"id": "1", "error": {"class": "DeviceNotFound", "desc": "Device 'k1' not found"}}""",
            """{"return": {}, "id": "1"}""",
        ];
        return Gen.Select(Gen.Int[0, real.Length - 1].Select(index => real[index]), Gen.Select(Gen.Int[0, 200], Gen.Byte).List[0, 4], (line, changes) =>
        {
            var bytes = Encoding.UTF8.GetBytes(line);
            foreach (var (at, value) in changes)
            {
                bytes[at % bytes.Length] = value;
            }

            return bytes;
        });
    }
}
