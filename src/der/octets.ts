/**
 * Whether `a[from..)` begins with `b[start..end)`. A loop: what is compared is short, or differs soon, and to ask for a comparison of buffers takes
 * longer than to find out.
 */
export function areOctetsAt(a: Uint8Array, from: number, b: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (a[from + i - start] !== b[i]) return false
  return true
}
