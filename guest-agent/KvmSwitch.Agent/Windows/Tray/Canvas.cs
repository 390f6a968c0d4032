namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>A square of pixels, 0xAARRGGBB with alpha not multiplied in, row by row from the top. Edges are smooth: 4 × 4 samples a pixel.</summary>
internal sealed class Canvas(int size)
{
    private const int Samples = 4;

    public int Size => size;

    public uint[] Pixels { get; } = new uint[size * size];

    /// <summary>Paints a shape over what is there.</summary>
    /// <param name="inside">Whether a point, in pixels, belongs to the shape.</param>
    /// <param name="colour">0xAARRGGBB.</param>
    public void Fill(Func<float, float, bool> inside, uint colour) => Each(inside, (below, cover) => Over(below, colour, cover));

    /// <summary>Makes a shape transparent.</summary>
    public void Erase(Func<float, float, bool> inside) => Each(inside, (below, cover) => WithAlpha(below, Alpha(below) * (1 - cover)));

    private void Each(Func<float, float, bool> inside, Func<uint, float, uint> paint)
    {
        for (var index = 0; index < Pixels.Length; index++)
        {
            if (Cover(inside, index % size, index / size) is > 0 and var cover)
                Pixels[index] = paint(Pixels[index], cover);
        }
    }

    private static float Cover(Func<float, float, bool> inside, int x, int y)
    {
        var hits = 0;
        for (var sample = 0; sample < Samples * Samples; sample++)
        {
            if (inside(x + (((sample % Samples) + 0.5f) / Samples), y + (((sample / Samples) + 0.5f) / Samples)))
                hits++;
        }

        return (float)hits / (Samples * Samples);
    }

    private static uint Over(uint below, uint colour, float cover)
    {
        var (above, under) = (Alpha(colour) * cover, Alpha(below));
        var alpha = above + (under * (1 - above));
        return alpha <= 0 ? 0 : WithAlpha(Mix(16) | Mix(8) | Mix(0), alpha);

        uint Mix(int shift) => (uint)MathF.Round(((Channel(colour, shift) * above) + (Channel(below, shift) * under * (1 - above))) / alpha) << shift;
    }

    private static float Alpha(uint pixel) => (pixel >> 24) / 255f;

    private static uint Channel(uint pixel, int shift) => (pixel >> shift) & 0xff;

    private static uint WithAlpha(uint pixel, float alpha) => (pixel & 0xff_ffff) | ((uint)MathF.Round(alpha * 255) << 24);
}
