import { isClientCertError } from '../errors.js'
import { type IssuerPool, verifiedPaths } from '../path/verified-paths.js'
import { type Ask, firstUnrevoked, type UnrevokedPath } from '../revocation/checker.js'
import type { Certificate } from '../x509/certificate.js'
import type { Authentication, Epoch } from './decision-memory.js'
import { leniencyOf } from './exceptions.js'
import type { Settings } from './options.js'

type FoundPath = UnrevokedPath & Pick<Authentication, 'exception'>

/** A path that is valid and not revoked; where the end entity stands in its way, by an exception the operator made for it. */
export async function findPath(
  { profile, revocation, exceptions, enforced }: Settings,
  endEntity: Certificate,
  epoch: Epoch,
  pool: IssuerPool,
  at: number,
  ask: Ask,
): Promise<FoundPath> {
  const trust = epoch.trust.trustFor(endEntity)
  const context = { profile, pool }
  try {
    return await firstUnrevoked(verifiedPaths(endEntity, trust, pool, profile, at), revocation, at, context, ask)
  } catch (error) {
    if (exceptions === undefined || !isClientCertError(error)) throw error
    const { code: ignored, depth } = error
    const found = exceptions.find(endEntity.fingerprint, ignored, depth, at)
    if (found === undefined) throw error
    // A candidate admits nobody, and its uses do not count.
    const entry = enforced === undefined ? found : { ...found }
    const paths = verifiedPaths(endEntity, trust, pool, profile, at, leniencyOf(entry, profile))
    const { path, holdsUntil } = await firstUnrevoked(paths, revocation, at, context, ask)
    return { path, holdsUntil: Math.min(holdsUntil, entry.until - 1), exception: { entry, ignored } }
  }
}
