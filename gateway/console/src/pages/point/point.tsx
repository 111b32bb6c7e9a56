/** Page `point`. */
export default function Point() {
  return <section />;
}
