/** Page `handover`. */
export default function Handover() {
  return <section />;
}
