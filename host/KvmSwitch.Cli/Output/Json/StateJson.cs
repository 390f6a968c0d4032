using System.Text.Json;
using KvmSwitch.Proto.V1;

namespace KvmSwitch.Cli.Output.Json;

internal static class StateJson
{
    public static void Write(Utf8JsonWriter json, State state)
    {
        json.WriteStartObject();
        json.Text("daemon_version", state.DaemonVersion);
        json.List("machines", state.Machines, machine => Write(json, machine));
        json.List("devices", state.Devices, device => Write(json, device));
        json.List("sets", state.Sets, set =>
        {
            json.WriteStartObject();
            json.WriteString("name", set.Name);
            json.List("devices", set.Devices);
            json.WriteEndObject();
        });
        json.WriteEndObject();
    }

    public static void Machines(Utf8JsonWriter json, State state)
    {
        json.WriteStartObject();
        json.List("machines", state.Machines, machine => Write(json, machine));
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Machine machine)
    {
        json.WriteStartObject();
        json.WriteString("name", machine.Name);
        json.WriteString("kind", StateText.KindName(machine.Kind));
        json.WriteString("power", StateText.PowerName(machine.Power));
        if (machine.Pid > 0)
        {
            json.WriteNumber("pid", machine.Pid);
        }
        else
        {
            json.WriteNull("pid");
        }

        json.WriteBoolean("agent_live", machine.AgentLive);
        json.Text("agent_version", machine.AgentVersion);
        json.Text("qemu_version", machine.QemuVersion);
        json.Text("trouble", machine.Trouble);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Device device)
    {
        json.WriteStartObject();
        json.WriteString("name", device.Name);
        json.Text("label", device.Label);
        json.WriteString("route", device.Route);
        json.WriteString("class", device.Class);
        json.WriteString("owner", device.Owner);
        json.WriteString("placement", device.Placement);
        json.Text("handoff", device.Handoff);
        json.Time("until", device.Until);
        json.Text("trouble", device.Trouble);
        json.Text("detail", device.Detail);
        json.WriteEndObject();
    }
}
