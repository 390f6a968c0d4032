using System.Collections.Immutable;
using KvmSwitch.Core;

namespace KvmSwitch.Linux.Input;

/// <summary>
/// The clones of one device, and which physical node each stands for now. Made when a node is first seen; kept when it goes, for
/// the next node that can do the same. For the loop that reads input.
/// </summary>
internal sealed class RelayClones(Device device, RelaySurroundings surroundings) : IDisposable
{
    /// <summary>More event nodes than one device has: so one that is another device at each plugging in doesn't pile up clones.</summary>
    public const int MaxClones = 16;

    private const int MaxNameLength = 60;
    private readonly List<InputSource> _unpaired = [];
    private readonly List<TaskCompletionSource<ImmutableArray<RelayNode>>> _offers = [];
    private int _making;
    private int _made;
    private string? _problem;

    public ImmutableArray<RelayNode> Nodes { get; private set; } = [];

    public bool IsAnyPresent => HasUnpaired || Nodes.Any(node => node.Source is not null);

    /// <summary>Some node is plugged in that no clone stands for.</summary>
    public bool HasUnpaired => _unpaired.Count > 0;

    /// <param name="paired">Told when a clone stands for it: at once, or once that is made.</param>
    public void Attach(InputSource source, Action<RelayNode> paired)
    {
        var spec = Spec(source);
        if (Nodes.FirstOrDefault(node => node.Source is null && node.Clone.Spec.Capabilities.Equals(spec.Capabilities)) is { } free)
        {
            free.Connect(source);
            paired(free);
            return;
        }

        _unpaired.Add(source);
        Make(source, spec, paired);
    }

    public void Detach(InputSource source)
    {
        _unpaired.Remove(source);
        foreach (var node in Nodes)
        {
            if (ReferenceEquals(node.Source, source)) node.Disconnect();
        }
    }

    /// <inheritdoc cref="InputRelay.OfferAsync"/>
    public Task<ImmutableArray<RelayNode>> OfferAsync()
    {
        var offer = new TaskCompletionSource<ImmutableArray<RelayNode>>(TaskCreationOptions.RunContinuationsAsynchronously);
        _offers.Add(offer);
        // What failed before may work now, as when the module was loaded meanwhile.
        if (_making == 0)
        {
            foreach (var source in _unpaired.ToArray()) Make(source, Spec(source), _ => { });
        }

        Answer();
        return offer.Task;
    }

    public void Dispose()
    {
        foreach (var offer in _offers) offer.TrySetException(Problem(Failure.Failed, "is no longer served: the daemon ends"));
        foreach (var node in Nodes) node.Dispose();
    }

    private SwitchException Problem(Failure failure, string what) => new(failure, $"{device.Id} {what}");

    private CloneSpec Spec(InputSource source)
    {
        var name = source.Device.Node.Name;
        return new(
            $"KvmSwitch {(name.Length > MaxNameLength ? name[..MaxNameLength] : name)}",
            $"{InputNode.ClonePhys}{device.Id}/{_made}",
            source.Device.Capabilities.ForClone());
    }

    private void Make(InputSource source, CloneSpec spec, Action<RelayNode> paired)
    {
        if (!MakeRoom()) return;
        _making++;
        var slot = _made++;
        IVirtualInput? clone = null;
        surroundings.Work.Aside([async () => clone = await surroundings.MakeClone(spec)], error =>
        {
            _making--;
            if (clone is null)
            {
                _problem = $"can't be lent: {error?.Message}";
                surroundings.Warn($"{device.Id} {_problem}");
            }
            else
            {
                Use(new(slot, clone), source, paired);
            }

            Answer();
        });
    }

    private void Use(RelayNode node, InputSource source, Action<RelayNode> paired)
    {
        // They may be done in another order than they were begun.
        Nodes = [.. Nodes.Add(node).OrderBy(each => each.Slot)];
        surroundings.Work.Poll(node);
        // It may have gone while its clone was made, and be back as another source.
        if (!_unpaired.Remove(source)) return;
        node.Connect(source);
        paired(node);
    }

    private bool MakeRoom()
    {
        if (Nodes.Length + _making < MaxClones) return true;
        if (Nodes.FirstOrDefault(node => node.Source is null) is not { } unused)
        {
            _problem = $"has more than {MaxClones} event nodes; only the first ones can be lent";
            surroundings.Warn($"{device.Id} {_problem}");
            return false;
        }

        Nodes = Nodes.Remove(unused);
        surroundings.Work.Unpoll(unused);
        unused.Dispose();
        return true;
    }

    private void Answer()
    {
        if (_making > 0) return;
        foreach (var offer in _offers)
        {
            if (Refusal() is { } refusal)
            {
                offer.TrySetException(refusal);
                continue;
            }

            var present = Nodes.Where(node => node.Source is not null).ToImmutableArray();
            foreach (var node in present) node.IsOffered = true;
            offer.TrySetResult(present);
        }

        _offers.Clear();
    }

    private SwitchException? Refusal()
    {
        if (!IsAnyPresent) return Problem(Failure.Refused, "isn't plugged in");
        if (HasUnpaired) return Problem(Failure.Failed, _problem ?? "has no clone");
        var places = Nodes.Select(node => node.Source?.Device.Node).OfType<InputNode>().DistinctBy(node => node.Place).ToArray();
        return places.Length > 1
            ? Problem(Failure.Refused, $"is ambiguous: {string.Join(" and ", places.Select(place => place.ToString()))}; recognize it by its port")
            : null;
    }
}
