using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>A chord was pressed and all keys are up again.</summary>
/// <param name="Keyboard">Where its last key was released.</param>
public sealed record ChordPress(Chord Chord, InputNode Keyboard);

/// <summary>One thing that was heard, for showing live.</summary>
/// <param name="KeysDown">Keys of this keyboard that are down now: names as a chord is written with, or numbers where there is no name.</param>
/// <param name="Chord">What it brought to its end; null: nothing.</param>
public sealed record HeardKeys(InputNode Keyboard, ImmutableArray<string> KeysDown, Chord? Chord);

/// <summary>
/// Listens to all keyboards of the host, also to those that are lent to a machine. Its inner face is for the one thread that
/// reads input; <see cref="Watch"/>, <see cref="Presses"/> and <see cref="HearAsync"/> are for everybody.
/// </summary>
public sealed class HotkeyListener
{
    private const int PressCapacity = 16;
    private const int HeardCapacity = 256;
    private readonly Channel<ChordPress> _presses = Channel.CreateBounded<ChordPress>(
        new BoundedChannelOptions(PressCapacity) { FullMode = BoundedChannelFullMode.DropWrite });

    private ImmutableArray<Channel<HeardKeys>> _hearers = [];
    private volatile ChordRecognizer _wanted = new([]);
    private ChordRecognizer _recognizer = new([]);

    /// <summary>Chords in the order of their ends. Nobody waits for the reader: when it sleeps for long, the newest are lost.</summary>
    public ChannelReader<ChordPress> Presses => _presses.Reader;

    /// <summary>A chord stands: see <see cref="ChordRecognizer.IsStanding"/>.</summary>
    internal bool IsStanding => _recognizer.IsStanding;

    /// <summary>Watches for these from now on. A gesture under way ends without effect.</summary>
    public void Watch(ImmutableArray<Chord> chords) => _wanted = new(chords);

    /// <summary>What is heard from now on, until cancelled. A reader that doesn't keep up loses the oldest.</summary>
    public async IAsyncEnumerable<HeardKeys> HearAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<HeardKeys>(new BoundedChannelOptions(HeardCapacity) { FullMode = BoundedChannelFullMode.DropOldest });
        ImmutableInterlocked.Update(ref _hearers, (all, one) => all.Add(one), channel);
        try
        {
            await foreach (var heard in channel.Reader.ReadAllAsync(cancellationToken)) yield return heard;
        }
        finally
        {
            ImmutableInterlocked.Update(ref _hearers, (all, one) => all.Remove(one), channel);
        }
    }

    /// <param name="held">The keys of this keyboard that are down, this event's included.</param>
    internal void Take(int source, InputNode keyboard, ushort code, bool isDown, long milliseconds, KeySet held)
    {
        if (!ReferenceEquals(_recognizer, _wanted)) _recognizer = _wanted;
        var chord = _recognizer.Take(source, code, isDown, milliseconds);
        if (chord is not null) _presses.Writer.TryWrite(new(chord, keyboard));
        if (!_hearers.IsEmpty) Tell(keyboard, held, chord);
    }

    internal void Lose(int source) => _recognizer.Lose(source);

    private void Tell(InputNode keyboard, KeySet held, Chord? chord)
    {
        var names = ImmutableArray.CreateBuilder<string>();
        for (var code = held.AtMost(KeySet.Capacity - 1); code >= 0; code = held.AtMost(code - 1)) names.Add(KeyCodes.NameOf(code) ?? $"{code}");
        names.Reverse();
        var heard = new HeardKeys(keyboard, names.ToImmutable(), chord);
        foreach (var hearer in _hearers) hearer.Writer.TryWrite(heard);
    }
}
