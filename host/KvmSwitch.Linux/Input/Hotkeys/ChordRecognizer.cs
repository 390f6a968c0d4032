using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// Finds chords in key events. A gesture lasts from the first key down until all keys of all keyboards are up. A chord fires at
/// the end of a gesture, so that no key sticks on the side that loses the keyboard, when it was complete at some moment and
/// nothing but its keys was pressed. Pure: time is what the events say. Nothing allocates once it is made.
/// </summary>
internal sealed class ChordRecognizer(ImmutableArray<Chord> chords)
{
    /// <summary>A key that is down for longer is stuck, or something lies on it: it no longer keeps gestures from ending.</summary>
    public static readonly TimeSpan StuckAfter = TimeSpan.FromSeconds(10);

    // More keys than fingers: of what is pressed beyond them, nothing can be a chord.
    private const int MaxKeys = 32;
    private static readonly long TapTime = (long)Chord.TapTime.TotalMilliseconds;

    private readonly HeldKey[] _held = new HeldKey[MaxKeys];
    private readonly ushort[] _pressed = new ushort[MaxKeys];
    private readonly bool[] _complete = new bool[chords.Length];
    private readonly bool[] _tapped = new bool[chords.Length];
    private int _heldCount;
    private int _pressedCount;
    private long _started;
    private long _lastPress;
    private long _tapStarted = long.MinValue;
    private bool _isSpoiled;

    /// <summary>
    /// A chord stands: the keys that are down mean it, unless another one is pressed. A guest shall not get them. Chords of
    /// nothing but modifiers never stand, or a guest could never be sent a longer one of its own.
    /// </summary>
    public bool IsStanding { get; private set; }

    /// <summary>The chord that this event brought to its end; null: none.</summary>
    /// <param name="source">Tells keyboards apart.</param>
    /// <param name="milliseconds">When, on any clock that doesn't jump.</param>
    public Chord? Take(int source, ushort code, bool isDown, long milliseconds)
    {
        // Buttons don't take part, and some rest pressed for ever.
        if (code is 0 or >= EventCode.FirstButton) return null;
        if (isDown)
        {
            Press(source, code, milliseconds);
            return null;
        }

        return Release(source, code) && _heldCount == 0 ? EndGesture(milliseconds) : null;
    }

    /// <summary>A keyboard left or lost events: what it held counts as released, and no chord is completed by that.</summary>
    public void Lose(int source)
    {
        var before = _heldCount;
        for (var i = _heldCount - 1; i >= 0; i--)
        {
            if (_held[i].Source == source) _held[i] = _held[--_heldCount];
        }

        if (_heldCount == before) return;
        _isSpoiled = true;
        IsStanding = false;
        if (_heldCount == 0) _ = EndGesture(_lastPress);
    }

    private void Press(int source, ushort code, long now)
    {
        ForgetStuckKeys(now);
        if (_heldCount == 0) BeginGesture(now);
        _lastPress = now;
        if (_heldCount == MaxKeys || _pressedCount == MaxKeys)
        {
            _isSpoiled = true;
            IsStanding = false;
            return;
        }

        _held[_heldCount++] = new(source, code, now);
        if (!_pressed.AsSpan(0, _pressedCount).Contains(code)) _pressed[_pressedCount++] = code;
        Look();
    }

    private void BeginGesture(long now)
    {
        _started = now;
        _pressedCount = 0;
        _isSpoiled = false;
        IsStanding = false;
        Array.Clear(_complete);
    }

    private void Look()
    {
        IsStanding = false;
        for (var i = 0; i < chords.Length; i++)
        {
            _complete[i] |= IsHeld(chords[i]);
            IsStanding |= _complete[i] && IsMeant(i) && HasOtherThanModifiers(chords[i]);
        }
    }

    private bool IsMeant(int index) =>
        !_isSpoiled && IsOnly(chords[index]) && (!chords[index].IsDoubleTap || (_tapped[index] && _started - _tapStarted <= TapTime));

    private Chord? EndGesture(long now)
    {
        Chord? fired = null;
        // A tap: short enough, and nothing else in it.
        var isTap = !_isSpoiled && now - _lastPress <= TapTime;
        for (var i = 0; i < chords.Length; i++)
        {
            if (fired is null && _complete[i] && IsMeant(i) && (isTap || !chords[i].IsDoubleTap)) fired = chords[i];
        }

        for (var i = 0; i < chords.Length; i++)
            _tapped[i] = fired is null && isTap && _complete[i] && chords[i].IsDoubleTap && IsOnly(chords[i]);
        _tapStarted = _started;
        IsStanding = false;
        return fired;
    }

    private void ForgetStuckKeys(long now)
    {
        for (var i = _heldCount - 1; i >= 0; i--)
        {
            if (now - _held[i].Since > (long)StuckAfter.TotalMilliseconds) _held[i] = _held[--_heldCount];
        }
    }

    private bool Release(int source, ushort code)
    {
        for (var i = 0; i < _heldCount; i++)
        {
            if (_held[i].Source != source || _held[i].Code != code) continue;
            _held[i] = _held[--_heldCount];
            return true;
        }

        return false;
    }

    /// <summary>Every position is satisfied. Positions have no code in common, so each is by a key of its own.</summary>
    private bool IsHeld(Chord chord)
    {
        foreach (var key in chord.Keys)
        {
            var isHeld = false;
            for (var i = 0; i < _heldCount; i++) isHeld |= key.Codes.AsSpan().Contains(_held[i].Code);
            if (!isHeld) return false;
        }

        return true;
    }

    private bool IsOnly(Chord chord)
    {
        foreach (var code in _pressed.AsSpan(0, _pressedCount))
        {
            var isOfChord = false;
            foreach (var key in chord.Keys) isOfChord |= key.Codes.AsSpan().Contains(code);
            if (!isOfChord) return false;
        }

        return true;
    }

    private static bool HasOtherThanModifiers(Chord chord)
    {
        foreach (var key in chord.Keys)
        {
            if (!key.IsModifier) return true;
        }

        return false;
    }

    private readonly record struct HeldKey(int Source, int Code, long Since);
}
