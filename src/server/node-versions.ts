/** A bug of Node that concerns client certificates. What this package decides does not depend on it; what others decide may. */
export interface NodeBug {
  readonly id: string
  readonly what: string
  /** Per line the first release that has it no more; undefined where none has. A line that is not named never had it. */
  readonly fixed: Readonly<Record<number, string | undefined>>
  /** Where it came with a release: the first one that has it. */
  readonly since?: Readonly<Record<number, string>>
}

/** Measured on releases of each line, or taken from Node's own advisories. */
export const nodeBugs: readonly NodeBug[] = [
  {
    id: 'nodejs/node#35317',
    what: 'socket.authorized is true for a TLS 1.3 session that is resumed without any certificate',
    fixed: { 20: undefined, 22: undefined, 24: '24.21.0', 26: '26.8.0' },
  },
  {
    id: 'session across SNI contexts',
    what: 'a session made under one host name is resumed, as authorized, under another with other CAs',
    fixed: { 20: undefined, 22: '22.23.3', 24: '24.18.0', 26: '26.4.0' },
  },
  {
    id: 'CVE-2026-48928',
    what: 'a host name in capitals chooses another SNI context, and with it other CAs',
    fixed: { 20: undefined, 22: '22.23.0', 24: '24.17.0', 26: '26.3.1' },
  },
  {
    id: 'CVE-2026-21637',
    what: 'an SNICallback or ALPNCallback that throws ends the process (not those given to tlsServerOptions)',
    fixed: { 20: '20.20.2', 22: '22.22.2', 24: '24.14.1' },
  },
  {
    id: 'nodejs/node#65579',
    what: "the client's intermediates are lost where OpenSSL trusts it: intermediates:, or ca: []",
    since: { 24: '24.21.0', 26: '26.8.0' },
    fixed: { 24: '24.22.0', 26: '26.9.0' },
  },
]

/** The known bugs of a version such as `20.20.2`. */
export function bugsOf(version: string): readonly NodeBug[] {
  const line = Number.parseInt(version, 10)
  return nodeBugs.filter(({ fixed, since }) => {
    if (!(line in fixed)) return false
    const first = since?.[line]
    const end = fixed[line]
    return (first === undefined || !isBefore(version, first)) && (end === undefined || isBefore(version, end))
  })
}

function isBefore(version: string, other: string): boolean {
  const [a, b] = [version, other].map((text) => text.split(/[.-]/, 3).map(Number)) as [number[], number[]]
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
