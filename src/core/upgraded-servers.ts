import { sharedMap } from '../shared.js'

/** Servers whose `upgrade` and CONNECT are guarded, by whichever copy of this package. */
const guarded = sharedMap<true>('upgrades')

export const isUpgradeGuarded = (server: object): boolean => guarded.has(server)

export function markUpgradeGuarded(server: object): void {
  guarded.set(server, true)
}
