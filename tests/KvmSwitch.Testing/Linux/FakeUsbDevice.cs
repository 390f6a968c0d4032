using System.Collections.Immutable;
using System.Globalization;
using KvmSwitch.Core;

namespace KvmSwitch.Testing.Linux;

/// <summary>One device of a <see cref="SysfsTree"/>.</summary>
internal sealed record FakeUsbDevice(UsbPort Port, VidPid Id, string Serial, string Product, bool IsHub, ImmutableArray<byte> Classes)
{
    public int Address { get; init; }

    public int Bus => int.Parse(Port.Value.Split('-')[0], CultureInfo.InvariantCulture);

    public string Interface(int i) => $"{Port}:1.{i}";

    /// <summary>The attributes that the kernel has for it (Documentation/ABI/stable/sysfs-bus-usb); one that it has no value for is missing.</summary>
    public void WriteTo(string directory)
    {
        Directory.CreateDirectory(directory);
        Write(directory, "idVendor", $"{Id.Vendor:x4}");
        Write(directory, "idProduct", $"{Id.Product:x4}");
        Write(directory, "busnum", $"{Bus}");
        Write(directory, "devnum", $"{Address}");
        Write(directory, "bDeviceClass", IsHub ? "09" : "00");
        if (Serial.Length > 0) Write(directory, "serial", Serial);
        if (Product.Length > 0) Write(directory, "product", Product);
        for (var i = 0; i < Classes.Length; i++)
        {
            var part = Path.Combine(directory, Interface(i));
            Directory.CreateDirectory(part);
            Write(part, "bInterfaceClass", $"{Classes[i]:x2}");
        }
    }

    private static void Write(string directory, string name, string value) => File.WriteAllText(Path.Combine(directory, name), value + "\n");
}
