using System.Buffers.Binary;

namespace KvmSwitch.SystemTests.Windows;

/// <summary>A rectangle of the screen, in pixels from the upper left corner.</summary>
public sealed record Area(int X, int Y, int Width, int Height)
{
    public (int X, int Y) Centre => (X + (Width / 2), Y + (Height / 2));
}

/// <summary>What the screen showed at one moment. Pixels are 0x00RRGGBB, row by row.</summary>
public sealed class Picture
{
    private readonly int[] _pixels;

    private Picture(int width, int height, int[] pixels) => (Width, Height, _pixels) = (width, height, pixels);

    public int Width { get; }

    public int Height { get; }

    public int this[int x, int y] => _pixels[(y * Width) + x];

    /// <summary>Reads the frame buffer that Xvfb keeps in its <c>-fbdir</c>: an X window dump of 32 bits a pixel (X11/XWDFile.h).</summary>
    /// <exception cref="InvalidDataException">It is no such dump.</exception>
    public static Picture FromFrameBuffer(ReadOnlySpan<byte> dump)
    {
        if (dump.Length < 100) throw new InvalidDataException("the frame buffer has no header yet");
        var (header, width, height, bits, stride, colours) = (Field(dump, 0), Field(dump, 4), Field(dump, 5), Field(dump, 11), Field(dump, 12), Field(dump, 19));
        var start = header + (colours * 12);
        if (bits != 32 || dump.Length < start + (stride * height)) throw new InvalidDataException($"the frame buffer has {bits} bits a pixel and {dump.Length} bytes");
        var pixels = new int[width * height];
        for (var y = 0; y < height; y++)
        {
            var row = dump[(start + (y * stride))..];
            for (var x = 0; x < width; x++)
                pixels[(y * width) + x] = BinaryPrimitives.ReadInt32LittleEndian(row[(x * 4)..]) & 0xffffff;
        }

        return new(width, height, pixels);
    }

    /// <summary>The smallest rectangle around all pixels that differ; null when none does.</summary>
    public Area? ChangedSince(Picture before)
    {
        var (left, top, right, bottom) = (int.MaxValue, int.MaxValue, -1, -1);
        for (var index = 0; index < _pixels.Length; index++)
        {
            if (_pixels[index] == before._pixels[index]) continue;
            var (x, y) = (index % Width, index / Width);
            (left, top, right, bottom) = (Math.Min(left, x), Math.Min(top, y), Math.Max(right, x), Math.Max(bottom, y));
        }

        return right < 0 ? null : new(left, top, right - left + 1, bottom - top + 1);
    }

    private static int Field(ReadOnlySpan<byte> dump, int index) => BinaryPrimitives.ReadInt32BigEndian(dump[(index * 4)..]);
}
