namespace KvmSwitch.Agent.Windows.Tray;

/// <summary>
/// The icon, drawn for each size on whole pixels so that it is crisp from 16 to 48: a keyboard. Filled: it is here. Outlined: it is at the host.
/// Faint with a red cross: cut off. The three differ in shape, not in colour alone.
/// </summary>
internal static class IconArt
{
    private const uint Badge = 0xffd13438;
    private const uint Cross = 0xffffffff;

    /// <param name="look">What it says.</param>
    /// <param name="onLight">For a light taskbar.</param>
    /// <param name="size">Width and height, in pixels.</param>
    /// <returns>0xAARRGGBB, row by row from the top.</returns>
    public static uint[] Draw(Look look, bool onLight, int size)
    {
        var canvas = new Canvas(size);
        var plan = KeyboardPlan.For(size);
        var ink = (look, onLight) switch
        {
            (Look.KeyboardHere, true) => (Body: 0xff0063b1u, Keys: 0xffffffffu),
            (Look.KeyboardHere, false) => (Body: 0xff4cc2ffu, Keys: 0xff00263bu),
            (Look.KeyboardAtHost, true) => (Body: 0xff1f1f1fu, Keys: 0xff1f1f1fu),
            (Look.KeyboardAtHost, false) => (Body: 0xffffffffu, Keys: 0xffffffffu),
            (_, true) => (Body: 0x901f1f1fu, Keys: 0x901f1f1fu),
            (_, false) => (Body: 0x90ffffffu, Keys: 0x90ffffffu),
        };
        canvas.Fill(plan.Body.Contains, ink.Body);
        if (look != Look.KeyboardHere)
            canvas.Erase(plan.Inside.Contains);
        foreach (var key in plan.Keys)
            canvas.Fill(key.Contains, ink.Keys);
        if (look == Look.CutOff)
            DrawBadge(canvas);
        return canvas.Pixels;
    }

    private static void DrawBadge(Canvas canvas)
    {
        var radius = canvas.Size * 0.29f;
        var (x, y) = (canvas.Size - radius, canvas.Size - radius);
        var gap = Math.Max(1, canvas.Size / 16f);
        canvas.Erase((px, py) => Distance(px - x, py - y) <= radius + gap);
        canvas.Fill((px, py) => Distance(px - x, py - y) <= radius, Badge);
        var (arm, half) = (radius * 0.52f, radius * 0.17f);
        canvas.Fill(
            (px, py) =>
            {
                var (along, across) = (MathF.Abs(px - x + (py - y)) * 0.7071f, MathF.Abs(px - x - (py - y)) * 0.7071f);
                return (along <= arm && across <= half) || (across <= arm && along <= half);
            },
            Cross);
    }

    private static float Distance(float x, float y) => MathF.Sqrt((x * x) + (y * y));
}

/// <summary>A rectangle with round corners, in pixels.</summary>
internal readonly record struct RoundRectangle(float Left, float Top, float Width, float Height, float Radius)
{
    public bool Contains(float x, float y)
    {
        if (x < Left || y < Top || x > Left + Width || y > Top + Height)
            return false;
        var dx = MathF.Max(MathF.Max(Left + Radius - x, x - (Left + Width - Radius)), 0);
        var dy = MathF.Max(MathF.Max(Top + Radius - y, y - (Top + Height - Radius)), 0);
        return (dx * dx) + (dy * dy) <= Radius * Radius || (dx <= 0 || dy <= 0);
    }
}

/// <summary>Where the parts of the keyboard are at one size: everything on whole pixels, left and right alike.</summary>
internal sealed record KeyboardPlan(RoundRectangle Body, RoundRectangle Inside, IReadOnlyList<RoundRectangle> Keys)
{
    public static KeyboardPlan For(int size)
    {
        var unit = Math.Max(1, size / 16);
        var margin = size / 32;
        var (left, width) = (margin, size - (2 * margin));
        var height = (int)MathF.Round(size * 0.66f);
        var top = (size - height) / 2;
        var corner = size / 8f;
        var body = new RoundRectangle(left, top, width, height, corner);
        var inside = new RoundRectangle(left + unit, top + unit, width - (2 * unit), height - (2 * unit), MathF.Max(corner - unit, 0.5f));
        return new(body, inside, [.. KeysIn(left + (2 * unit), top + (2 * unit), width - (4 * unit), height - (4 * unit), unit)]);
    }

    // Two rows of keys and a space bar.
    private static IEnumerable<RoundRectangle> KeysIn(int left, int top, int width, int height, int gap)
    {
        var keyHeight = Math.Max(1, (height - (2 * gap)) / 3);
        var (count, keyWidth, apart) = Fit(width, keyHeight, gap);
        var used = (count * keyWidth) + ((count - 1) * apart);
        var (x, y) = (left + ((width - used) / 2), top + ((height - (3 * keyHeight) - (2 * gap)) / 2));
        for (var row = 0; row < 2; row++)
        {
            for (var key = 0; key < count; key++)
                yield return new(x + (key * (keyWidth + apart)), y + (row * (keyHeight + gap)), keyWidth, keyHeight, 0);
        }

        var space = width - (2 * Math.Max(1, width / 5));
        yield return new(left + ((width - space) / 2), y + (2 * (keyHeight + gap)), space, keyHeight, 0);
    }

    /// <summary>As many keys as fit, about as wide as high, with the same rest on both sides; and how far they are apart.</summary>
    private static (int Count, int Width, int Apart) Fit(int width, int keyHeight, int gap)
    {
        var best = from count in Enumerable.Range(3, 3).Reverse()
                   from apart in Enumerable.Range(gap, keyHeight > 1 ? 2 : 1)
                   from keyWidth in Enumerable.Range(keyHeight, gap + 1).Reverse()
                   let rest = width - (count * keyWidth) - ((count - 1) * apart)
                   where rest >= 0 && rest % 2 == 0 && rest <= 2 * gap
                   select (count, keyWidth, apart);
        if (best.FirstOrDefault() is { count: > 0 } fit)
            return fit;

        // Three, whatever remains on both sides.
        var widest = (width - (2 * gap)) / 3;
        return (3, Math.Max(1, widest - ((width - (3 * widest) - (2 * gap)) % 2)), gap);
    }
}
