using System.Numerics;
using System.Runtime.InteropServices;

namespace KvmSwitch.Linux.Input;

/// <summary>A set of key codes, laid out as EVIOCGKEY fills it. Nothing in it allocates once it is made.</summary>
public sealed class KeySet
{
    /// <summary>KEY_CNT: codes are smaller.</summary>
    public const int Capacity = 0x300;

    private readonly ulong[] _words = new ulong[Capacity / 64];

    public bool IsEmpty => !_words.AsSpan().ContainsAnyExcept(0ul);

    /// <summary>The bitmap: bit 0 of byte 0 is code 0.</summary>
    public Span<byte> Bytes => MemoryMarshal.AsBytes(_words.AsSpan());

    /// <summary>One of the keys of a keyboard proper is in it, not only buttons.</summary>
    public bool HasKeyboardKey => _words.AsSpan(0, EventCode.FirstButton / 64).ContainsAnyExcept(0ul);

    /// <returns>False when it was in already, or there is no such key.</returns>
    public bool Add(int code)
    {
        if ((uint)code >= Capacity || Contains(code)) return false;
        _words[code >> 6] |= 1ul << code;
        return true;
    }

    /// <returns>False when it wasn't in.</returns>
    public bool Remove(int code)
    {
        if (!Contains(code)) return false;
        _words[code >> 6] &= ~(1ul << code);
        return true;
    }

    public bool Contains(int code) => (uint)code < Capacity && (_words[code >> 6] >> code & 1) != 0;

    public void Clear() => Array.Clear(_words);

    public bool SetEquals(KeySet other) => _words.AsSpan().SequenceEqual(other._words);

    public void CopyFrom(KeySet other) => other._words.CopyTo(_words.AsSpan());

    public void ExceptWith(KeySet other)
    {
        for (var i = 0; i < _words.Length; i++) _words[i] &= ~other._words[i];
    }

    /// <summary>The greatest code in it that is at most this; -1: none.</summary>
    public int AtMost(int code)
    {
        for (var word = Math.Min(code, Capacity - 1) >> 6; code >= 0 && word >= 0; word--)
        {
            var bits = word == code >> 6 ? _words[word] & (ulong.MaxValue >> (63 - (code & 63))) : _words[word];
            if (bits != 0) return (word << 6) + BitOperations.Log2(bits);
        }

        return -1;
    }
}
