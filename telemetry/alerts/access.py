"""Who may call: credentials that are wrong on whatever route, and addresses that were held off for them.

Refuses to name an address: lines of the proxy in front have it.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Severity

LINES = 'sum by (job) (increase(parley_log_lines_total{type="'

ACCESS = Group(
    "parley-access",
    (
        Alert(
            name="AddressHeldOff",
            severity=Severity.TICKET,
            expr=f'{LINES}address_held_off"}}[5m])) > 0',
            keep="10m",
            summary='Addresses were held off {{ $value | printf "%.0f" }} times in 5m for wrong credentials.',
            advice=Advice(
                means="One address sent more wrong keys, tokens, sessions or sign-in codes than"
                " AGENT_AUTH_FAILURES in a minute, on any route; it gets 429 before anything is looked at."
                " Callers behind it who were let in lately are not touched.",
                look="sum by (type) (increase(parley_log_lines_total"
                '{type=~"access_denied|address_held_off"}[5m]))',
                run="parley audit list --category authentication --limit 20\nparley keys list",
                do="The access log of the proxy in front names the address: bar it there. Where all callers"
                " come from one address, AGENT_TRUSTED_PROXIES does not name the proxy. A client with an old"
                " key: `parley keys rotate`. A key or token that was stolen: `parley tokens revoke`.",
            ),
        ),
        Alert(
            name="AccessDeniedSpike",
            severity=Severity.TICKET,
            expr=f'{LINES}access_denied"}}[5m])) >= 100',
            wait="1m",
            keep="5m",
            summary='{{ $value | printf "%.0f" }} requests of all routes were denied in 5m (401, 403).',
            advice=Advice(
                means="Many requests were refused for who sent them, on the chat route or any other: somebody"
                " guesses from many addresses, or a client runs with a credential that does not hold.",
                look='sum by (type) (increase(parley_log_lines_total{type="access_denied"}[5m]))',
                run="parley audit list --category authentication --limit 20",
                do="The lines `access_denied` have the reason and the route. See CredentialGuessing.",
            ),
        ),
    ),
)
