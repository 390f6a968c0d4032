using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using KvmSwitch.Core;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Daemon.Guests;

/// <summary>A code to hand to <c>kvmswitch-agent join</c>.</summary>
/// <param name="Expires">By the clock on the wall, for people; what counts is the monotonic one.</param>
/// <param name="End">Ends when the code is of no use any more because it was used, replaced or voided. Its time alone does not end it.</param>
internal sealed record IssuedCode(string Code, DateTimeOffset Expires, MachineId Machine, Task<CodeEnd> End);

/// <summary>Why a code is of no use any more.</summary>
internal enum CodeEnd
{
    /// <summary>A guest presented it; whatever became of its enrolment.</summary>
    Used,

    /// <summary>A newer one of the same machine was made.</summary>
    Replaced,

    Voided,
}

/// <summary>What became of a token that a guest presented.</summary>
internal enum Redemption
{
    Accepted,
    Wrong,
    TooManyGuesses,
}

/// <summary>
/// One-time pairing codes: short-lived, one for each machine, never on disk. Guesses are limited for each address, not for all together:
/// else any peer could keep everyone from pairing by guessing on. The token's 128 random bits need no more.
/// </summary>
internal sealed class PairingDesk(byte[] fingerprint, Func<IReadOnlyList<string>> addresses, TimeProvider time)
{
    public const string Prefix = "ksw1-";
    public const int GuessesPerMinute = 5;

    public static readonly TimeSpan DefaultLifetime = TimeSpan.FromMinutes(10);
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromHours(1);

    private const int TokenLength = 16;
    private const int MaxPeers = 256;

    private readonly Lock gate = new();
    private readonly Dictionary<MachineId, Outstanding> codes = [];
    private readonly Dictionary<IPAddress, TokenBucket> guesses = [];

    /// <summary>Makes a code; an older one of the same machine is void.</summary>
    /// <exception cref="SwitchException">The lifetime is out of range.</exception>
    public IssuedCode CreateTicket(MachineId machine, TimeSpan lifetime)
    {
        if (lifetime <= TimeSpan.Zero || lifetime > MaxLifetime)
            throw new SwitchException(Failure.Usage, $"a pairing code is good for more than nothing and at most {MaxLifetime.TotalMinutes:0} minutes");

        var token = RandomNumberGenerator.GetBytes(TokenLength);
        var code = new Outstanding(token, time.GetTimestamp(), lifetime);
        lock (gate)
        {
            if (codes.TryGetValue(machine, out var older)) older.End.TrySetResult(CodeEnd.Replaced);
            codes[machine] = code;
        }

        var ticket = new PairingTicket { CaFingerprint = ByteString.CopyFrom(fingerprint), Token = ByteString.CopyFrom(token) };
        ticket.Addresses.AddRange(addresses());
        return new(Prefix + Base64Url.EncodeToString(ticket.ToByteArray()), time.GetUtcNow() + lifetime, machine, code.End.Task);
    }

    /// <summary>Makes a code worthless, if it still is worth anything.</summary>
    public void Void(IssuedCode issued)
    {
        lock (gate)
        {
            if (!codes.TryGetValue(issued.Machine, out var code) || code.End.Task != issued.End) return;
            codes.Remove(issued.Machine);
            code.End.TrySetResult(CodeEnd.Voided);
        }
    }

    /// <summary>Takes a code. It is used up by this, whatever becomes of the enrolment.</summary>
    public Redemption TryRedeem(ReadOnlySpan<byte> token, IPAddress peer, out MachineId machine)
    {
        lock (gate)
        {
            var allowance = AllowanceOf(peer);
            machine = default;
            if (allowance.IsEmpty) return Redemption.TooManyGuesses;

            var found = false;
            foreach (var (owner, code) in codes)
            {
                // No early end: the time that this takes tells nothing.
                if (!CryptographicOperations.FixedTimeEquals(code.Token, token)) continue;
                found = time.GetElapsedTime(code.Made) < code.Lifetime;
                machine = owner;
            }

            if (found && codes.Remove(machine, out var used))
            {
                used.End.TrySetResult(CodeEnd.Used);
                return Redemption.Accepted;
            }

            allowance.TryTake();
            return Redemption.Wrong;
        }
    }

    private TokenBucket AllowanceOf(IPAddress peer)
    {
        var address = peer.IsIPv4MappedToIPv6 ? peer.MapToIPv4() : peer;
        if (guesses.TryGetValue(address, out var bucket)) return bucket;
        // One who has so many addresses gains a few guesses at 128 bits by this, and no memory of ours.
        if (guesses.Count >= MaxPeers) guesses.Clear();
        return guesses[address] = new(GuessesPerMinute, GuessesPerMinute / 60.0, time);
    }

    private sealed record Outstanding(byte[] Token, long Made, TimeSpan Lifetime)
    {
        public TaskCompletionSource<CodeEnd> End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
