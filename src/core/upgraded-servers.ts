import { sharedMap } from '../shared.js'
import { warnOf } from '../warn.js'

/** Who stands before `upgrade` and CONNECT: `authenticateUpgrade`, or whoever said so to `superviseServer`. */
export type UpgradeGuard = 'authenticateUpgrade' | 'application'

/** Servers whose `upgrade` and CONNECT are guarded, by whichever copy of this package. */
const guarded = sharedMap<UpgradeGuard>('upgrades')

export const upgradeGuardOf = (server: object): UpgradeGuard | undefined => guarded.get(server)

export function markUpgradeGuarded(server: object, by: UpgradeGuard): void {
  guarded.set(server, by)
}

/** Takes the application's word back, and nothing else. */
export function unmarkUpgradeGuarded(server: object): void {
  if (guarded.get(server) === 'application') guarded.delete(server)
}

/** Warns once of a server whose upgrades nobody is known to decide about. */
export function checkUpgrades(server: { listenerCount?(event: string): number }): void {
  if (upgradeGuardOf(server) !== undefined) return
  const unguarded = ['upgrade', 'connect'].find((event) => (server.listenerCount?.(event) ?? 0) > 0)
  if (unguarded === undefined) return
  warnOf(
    server,
    'MTLS_UPGRADE_UNGUARDED',
    `a listener for '${unguarded}' is attached, which middleware does not see — authenticateUpgrade(server, auth); or ask auth.authenticate(request) in it, and say so: superviseServer(server, auth, { upgrades: 'guarded' })`,
  )
}
