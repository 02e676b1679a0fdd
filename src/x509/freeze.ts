import { DistinguishedName } from './name.js'

/** All but octets, which nobody can freeze: false where some are in it. */
export function freezeWhole(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (ArrayBuffer.isView(value)) return false
  if (value instanceof DistinguishedName) {
    value.freeze()
    return true
  }
  let isWhole = true
  for (const part of Object.values(value)) if (!freezeWhole(part)) isWhole = false
  Object.freeze(value)
  return isWhole
}
