namespace KvmSwitch.Linux;

/// <summary>One look at a drive.</summary>
/// <param name="Fingerprint">Of the disc, if it was read.</param>
internal readonly record struct DiscLook(DiscState State, bool IsLent, string? Fingerprint);

/// <summary>What is remembered of a drive's disc, and what a look at it means. Pure.</summary>
/// <param name="HasDisc">Null before the first look that told.</param>
/// <param name="Fingerprint">Of the last disc that could be read and hasn't left since.</param>
internal sealed record DiscMemory(bool? HasDisc, string? Fingerprint)
{
    public static DiscMemory Nothing { get; } = new(null, null);

    /// <summary>
    /// A drive that comes home with the disc with which it left has no news: else it would be given away again at once. So the
    /// kernel's word that the medium changed, which a reset by the guest brings about too, isn't enough: the disc must be another.
    /// </summary>
    public (DiscMemory Memory, DiscNews? News) See(DiscLook look) => look.State switch
    {
        DiscState.None or DiscState.TrayOpen => (this with { HasDisc = false, Fingerprint = null }, look.IsLent ? DiscNews.Left : null),
        DiscState.Present when look.IsLent => (this with { HasDisc = true }, null),
        DiscState.Present => (new(true, look.Fingerprint ?? Fingerprint), HasDisc is not true || IsAnother(look.Fingerprint) ? DiscNews.CameIn : null),
        _ => (this, null),
    };

    private bool IsAnother(string? fingerprint) => Fingerprint is not null && fingerprint is not null && fingerprint != Fingerprint;
}
