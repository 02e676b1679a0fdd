import type { LedgerClient } from './ledger.js'

/** By certificate: the youngest of the same client, where it is another. A renewed one need not end later: lifetimes get shorter. */
export type Successors = ReadonlyMap<LedgerClient, LedgerClient>

export function successorsOf(clients: readonly LedgerClient[]): Successors {
  const youngest = new Map<string, LedgerClient>()
  for (const client of clients) {
    const known = youngest.get(client.nameKey)
    if (known === undefined || isYounger(client, known)) youngest.set(client.nameKey, client)
  }
  return new Map(
    clients.flatMap((client) => {
      const other = youngest.get(client.nameKey)
      return other !== undefined && isYounger(other, client) ? [[client, other] as const] : []
    }),
  )
}

const isYounger = (a: LedgerClient, b: LedgerClient) =>
  a.notBefore === b.notBefore ? a.notAfter > b.notAfter : a.notBefore > b.notBefore
