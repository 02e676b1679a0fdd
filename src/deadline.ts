/**
 * What `answer` comes to; where that takes longer, rejects with what `late` makes. Leaves no timer behind.
 *
 * @param isAwaited `false`: a process that has nothing else to do may end meanwhile
 */
export function inTime<T>(
  answer: PromiseLike<T>,
  milliseconds: number,
  {
    late = () => new Error(`it has not answered in ${milliseconds} ms`),
    isAwaited = true,
  }: { late?: () => unknown; isAwaited?: boolean } = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not a race: one that many wait for, each for a while, would hold on to all of them until it settles.
    let waiting: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined = { resolve, reject }
    const timer = setTimeout(() => {
      waiting?.reject(late())
      waiting = undefined
    }, milliseconds)
    if (!isAwaited) timer.unref()
    const settle = () => {
      clearTimeout(timer)
      const settled = waiting
      waiting = undefined
      return settled
    }
    Promise.resolve(answer).then(
      (value) => settle()?.resolve(value),
      (error: unknown) => settle()?.reject(error),
    )
  })
}
