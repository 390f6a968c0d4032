namespace KvmSwitch.Agent.Enrolment;

/// <summary>A pairing code that lies ready for this guest, or what was put there and is none.</summary>
/// <param name="Where">For people: the path of a file, or what else holds it.</param>
/// <param name="Code">Null: it can't be used, see <paramref name="Problem"/>.</param>
/// <param name="Problem">One sentence why it can't be used; null: it can.</param>
internal sealed record JoinOffer(string Where, JoinCode? Code, string? Problem)
{
    /// <summary>Called when the code is of no use any more, because it was accepted or refused.</summary>
    public Action Spent { get; init; } = () => { };

    /// <summary>Somebody who may do that asked for just this: it replaces a pairing that is there.</summary>
    public bool Replaces { get; init; }
}

/// <summary>Where pairing codes may lie ready.</summary>
internal interface IJoinOffers
{
    /// <summary>For people: where <see cref="Look"/> looks.</summary>
    string Places { get; }

    IReadOnlyList<JoinOffer> Look();

    /// <summary>Waits until another look may find another thing: a hint, nothing more. What changed since this was made counts.</summary>
    Task NextChangeAsync(CancellationToken cancellationToken);
}
