using System.Buffers;
using System.Text.Json;
using KvmSwitch.Agent.Devices;
using KvmSwitch.Agent.Hotkeys;

namespace KvmSwitch.Agent.Cli;

/// <summary>Writes one JSON object a line, each in a single write.</summary>
internal sealed class WatchLines(Stream output, TimeProvider time)
{
    private readonly Lock gate = new();

    public void Ready() => Write(json => json.WriteString("event", "ready"));

    public void Device(DeviceChange change) => Write(json =>
    {
        var device = change.Device;
        json.WriteString("event", change.Present ? "present" : "gone");
        json.WriteString("bus", device.Bus switch { DeviceBus.Pci => "pci", DeviceBus.Scsi => "scsi", _ => "usb" });
        json.WriteString("key", device.Key);
        json.WriteString("id", $"{device.VendorId:x4}:{device.ProductId:x4}");
        json.WriteString("serial", device.Serial);
        json.WriteString("controller", device.Controller);
        json.WriteString("port", device.Port);
        json.WriteBoolean("ready", device.Ready);
        json.WriteString("product", device.Product);
        WriteUptime(json);
    });

    public void Key(KeyEvent key)
    {
        if (key.Move is KeyMove.Lost)
            return;
        Write(json =>
        {
            json.WriteString("event", "key");
            json.WriteNumber("code", key.Code);
            json.WriteBoolean("down", key.Move is KeyMove.Down);
            json.WriteString("device", key.Device);
            WriteUptime(json);
        });
    }

    // The monotonic clock starts with the system.
    private void WriteUptime(Utf8JsonWriter json) =>
        json.WriteNumber("uptime", Math.Round((decimal)time.GetTimestamp() / time.TimestampFrequency, 6));

    private void Write(Action<Utf8JsonWriter> content)
    {
        var line = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            content(json);
            json.WriteEndObject();
        }

        line.Write("\n"u8);
        lock (gate)
        {
            output.Write(line.WrittenSpan);
            output.Flush();
        }
    }
}
